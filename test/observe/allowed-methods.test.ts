import { AllowedMethods } from '../../src/observe/allowed-methods';

describe('AllowedMethods', () => {
  const allowed = new AllowedMethods();
  allowed.add('/v1/status', ['GET', 'HEAD']);
  allowed.add('/v1/backends/:pool/:name/drain', 'POST');
  allowed.add('/v1/backends/:pool/:name/drain', 'DELETE');
  allowed.add('/v1/:what', 'PUT');

  test.each([
    ['/v1/status', ['GET', 'HEAD', 'PUT']],
    ['/v1/backends/web/b1/drain', ['DELETE', 'POST']],
    ['/v1/other', ['PUT']],
    ['/v1/', []],
    ['/v1/status/', []],
    ['/v1/backends/web//drain', []],
    ['/v1/backends/web/b1/ready', []],
    ['/v1/backends/web/b1/c/drain', []],
    ['', []],
  ])('%s has %j', (path, methods) => {
    expect(allowed.of(path)).toEqual(methods);
  });
});
