import { execute, type ExecuteOptions, type Result } from './execute';
import { inNamespace } from './ip';
import { LabProcess, type LabProgram, type SpawnOptions } from './lab-process';
import { LabSuccessor } from './lab-successor';
import type { HostPlan } from './topology';

/** One host of a lab: a network namespace, its addresses, and the programs in it. */
export class Host {
  /** `c1`, `f1`, `b1`, `rt`: role and number. */
  readonly name: string;
  /** The namespace's name below /run/netns. */
  readonly netns: string;
  readonly address4: string;
  readonly address6: string;
  /** All own IPv4 addresses, `address4` first; the VIP is not one of them. */
  readonly addresses4: readonly string[];

  /** `started` takes every process that the lab has to end. */
  constructor(
    labId: string,
    plan: HostPlan,
    private readonly started: Set<LabProgram>,
  ) {
    this.name = plan.name;
    this.netns = `${labId}-${plan.name}`;
    this.address4 = plan.addresses4[0];
    this.address6 = plan.address6;
    this.addresses4 = plan.addresses4;
  }

  /** Runs a command to its end. A bad exit is a result; not starting or a timeout (10 s by default) is an error. */
  run(argv: readonly string[], options?: ExecuteOptions): Promise<Result> {
    return execute(inNamespace(this.netns, argv), options);
  }

  /** Starts a program, which the lab ends at the latest; `nsenter` becomes the program, so its pid is the program's. */
  spawn(argv: readonly string[], options?: SpawnOptions): LabProcess {
    return this.end(new LabProcess(inNamespace(this.netns, argv), options));
  }

  /** Takes note of a process that a program here has started to take over from it: the lab ends that one too. */
  succeeded(program: LabProgram, pid: number): LabProgram {
    return this.end(new LabSuccessor(pid, program.output));
  }

  /** Has a program ended with the lab. */
  private end<P extends LabProgram>(program: P): P {
    this.started.add(program);
    void program.exited.then(() => this.started.delete(program));
    return program;
  }
}
