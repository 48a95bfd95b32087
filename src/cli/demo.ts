import type { Command } from './command';
export const demo: Command = () => Promise.reject(new Error('later'));
