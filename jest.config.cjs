// Two projects: `unit` needs no privileges and takes seconds; `lab` makes network namespaces, loads eBPF and
// runs the built CLI, so it needs root. Files are told apart by name: NAME.test.ts and NAME.lab.ts.
const common = {
  testEnvironment: 'node',
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, sourceMaps: 'inline' },
    ],
  },
};

module.exports = {
  // For units: labs run one at a time, before or after them.
  maxWorkers: 2,
  reporters: ['default', '<rootDir>/test/summary-reporter.cjs'],
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/**/*.test.ts'] },
    {
      ...common,
      displayName: 'lab',
      testMatch: ['<rootDir>/test/**/*.lab.ts'],
      // A lab has several hosts on these cores: one at a time keeps its timings meaningful.
      runner: '<rootDir>/test/serial-runner.cjs',
    },
  ],
};
