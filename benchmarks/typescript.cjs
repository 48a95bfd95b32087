/**
 * Lets `require` read TypeScript, with what Baton itself needs for its tests: `node --require ./benchmarks/typescript.cjs
 * FILE.ts`. CI has no tsx, and a figure measured inside jest is one of jest's sandbox too.
 */
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    module: { type: 'commonjs' },
    jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
    sourceMaps: 'inline',
  });
  module._compile(code, filename);
};
