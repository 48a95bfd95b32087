import Fastify, { type FastifyInstance } from 'fastify';
import { addAgentRoutes } from '../../src/agent/admin-routes';
import type { Agent } from '../../src/agent/agent';
import { addFrontRoutes } from '../../src/front/admin-routes';
import type { Front } from '../../src/front/front';
import { createAdmin } from '../../src/observe/admin';
import { AdminAccess } from '../../src/observe/admin-access';
import { ADMIN_PATHS } from '../../src/observe/admin-paths';
import type { Component } from '../../src/observe/catalogue';
import { silentLogger } from '../../src/observe/log';
import { createRegistry } from '../../src/observe/registry';

/** The routes ask for the program when they are asked, which does not happen here. */
const ADD: Readonly<Record<Component, (app: FastifyInstance) => void>> = {
  front: (app) => addFrontRoutes(app, undefined as unknown as Front),
  agent: (app) => addAgentRoutes(app, undefined as unknown as Agent),
};

function adminOf(component: Component): FastifyInstance {
  const logger = silentLogger();
  const access = new AdminAccess({ listen: { host: '127.0.0.1', port: 0, family: 4 } }, logger);
  const registry = createRegistry(component, () => Promise.resolve({ samples: [], histograms: [] }));
  return createAdmin({ registry, access, logger, ready: () => true });
}

/** `METHOD PATH` of each line of the tree that fastify prints, whose depth is its indentation; HEAD comes with GET. */
function routesOf(app: FastifyInstance): string[] {
  const branch: string[] = [];
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indentation = '', segment = '', methods = ''] =
        /^(\W*── )(\S+)(?: \((.*)\))?$/.exec(line) ?? [];
      const depth = indentation.length / 4;
      branch.splice(depth - 1, Infinity, segment);
      const path = branch.join('').replace(/:(\w+)/g, (_, name: string) => name.toUpperCase());
      return methods
        .split(', ')
        .filter((method) => method !== '' && method !== 'HEAD')
        .map((method) => `${method} ${path}`);
    });
}

test.each(['front', 'agent'] as const)(
  'the table has the paths of the %s, and no others',
  async (component) => {
    const app = adminOf(component);
    ADD[component](app);
    await app.ready();
    const routes = routesOf(app);
    expect(ADMIN_PATHS[component].map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
      routes.sort(),
    );
    await app.close();
  },
);

test('what is read of the tree is all of it', async () => {
  const app = Fastify();
  app.get('/a', () => 1);
  app.get('/a/b/c', () => 1);
  app.post('/a/b/:name/d', () => 1);
  app.post('/a/b/:name/e', () => 1);
  await app.ready();
  expect(routesOf(app).sort()).toEqual(['GET /a', 'GET /a/b/c', 'POST /a/b/NAME/d', 'POST /a/b/NAME/e']);
});
