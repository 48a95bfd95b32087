import type { EventEmitter } from 'node:events';

type Listener = (...args: never[]) => void;

/**
 * Listens to an event in front of the others for as long as others listen to it too: a server does something else where
 * nobody does. Returns what ends that.
 */
export function listenBesideOthers(emitter: EventEmitter, event: string, listener: Listener): () => void {
  const ours = listener as (...args: unknown[]) => void;
  let listening = false;
  const listen = (): void => {
    if (listening) return;
    listening = true;
    emitter.prependListener(event, ours);
  };
  const cease = (): void => {
    listening = false;
    emitter.off(event, ours);
  };
  // Told before the other one is added ...
  const added = (name: unknown, other: unknown): void => {
    if (name === event && other !== ours) listen();
  };
  // ... and after it is gone.
  const removed = (name: unknown): void => {
    if (name === event && listening && emitter.listenerCount(event) === 1) cease();
  };
  if (emitter.listenerCount(event) > 0) listen();
  emitter.on('newListener', added);
  emitter.on('removeListener', removed);
  return () => {
    emitter.off('newListener', added);
    emitter.off('removeListener', removed);
    cease();
  };
}
