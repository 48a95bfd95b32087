import { Cluster } from '../lab/cluster';
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Command, type Output } from './command';
import { carryOut, type Claim, type Step } from './demo/claim';
import { commandsToTry } from './demo/commands-to-try';
import { connections } from './demo/connections';
import { Interruption } from './demo/interruption';
import { Progress } from './demo/progress';
import { hold, jsonReport, textReport } from './demo/report';
import { missingRequirement } from './demo/requirements';
import { routes } from './demo/routes';
import { SCENE } from './demo/scene';
import { survival } from './demo/survival';

const USAGE = 'usage: baton demo [--json|--keep]\n';

type Option = '--json' | '--keep' | undefined;

const STEPS: readonly Step[] = [
  { name: 'routes', progress: 'asking for each route', measure: routes },
  { name: 'handoff', progress: 'making connections from many addresses', measure: connections },
  { name: 'download', progress: 'downloading, and killing the front meanwhile', measure: survival },
];

/** `baton demo [--json|--keep]` */
export const demo: Command = async (args, output) => {
  const [option] = args;
  if (args.length > 1 || !isOption(option)) {
    output.stderr.write(USAGE);
    return EXIT_USAGE;
  }
  const missing = missingRequirement();
  if (missing !== undefined) throw new Error(missing);
  const interruption = new Interruption();
  const progress = new Progress(output.stderr);
  try {
    return await perform(option, output, interruption, progress);
  } catch (error) {
    // What breaks while everything is being removed is no news.
    if (interruption.signal === undefined) throw error;
    throw new Error(`interrupted by ${interruption.signal}; all that was made is removed`, { cause: error });
  } finally {
    progress.clear();
    interruption.close();
  }
};

function isOption(argument: string | undefined): argument is Option {
  return argument === undefined || argument === '--json' || argument === '--keep';
}

async function perform(
  option: Option,
  output: Output,
  interruption: Interruption,
  progress: Progress,
): Promise<number> {
  const begin = performance.now();
  progress.say('starting a front and two agents');
  const cluster = await Cluster.start(SCENE);
  try {
    const claims = await measure(cluster, interruption, progress);
    progress.clear();
    const seconds = (performance.now() - begin) / 1_000;
    output.stdout.write(option === '--json' ? jsonReport(claims, seconds) : textReport(claims, seconds));
    if (option === '--keep') {
      output.stdout.write(commandsToTry(cluster));
      await interruption.came;
    }
    return hold(claims) ? EXIT_DONE : EXIT_FAILED;
  } finally {
    progress.say('removing everything');
    await cluster.destroy();
  }
}

/** Carries the steps out one after the other; throws when it is interrupted. */
async function measure(cluster: Cluster, interruption: Interruption, progress: Progress): Promise<Claim[]> {
  // Without its programs the step under way ends soon.
  void interruption.came.then(() => cluster.destroy()).catch(() => undefined);
  const claims: Claim[] = [];
  for (const step of STEPS) {
    progress.say(step.progress);
    claims.push(...(await carryOut(step, cluster)));
    if (interruption.signal !== undefined) throw new Error('interrupted');
  }
  return claims;
}
