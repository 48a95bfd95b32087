/**
 * Which backends of a pool are ejected because of what becomes of their connections.
 *
 *   evidence against it --> is there room? --yes--> ejected, for a while --> back, on trial: with no evidence
 *                                 |                    |
 *                                 no                   others are gone, so there is no room any more
 *                                 v                    v
 *                           stays: panic          taken back: panic, until its time is over or there is room
 *
 * There is room for `max_share` of the backends that could take connections, rounded down, and never for the last one. That
 * holds at all times: where backends go down beside ejected ones, the share of those would grow.
 */
import type { OutlierConfig } from '../config/model';
import type { ResponseCounts } from '../wire/report';
import type { Ejection, Finding } from './ejections';
import { Evidence, type Failures } from './evidence';

/** How often it is looked whether a panic is over, when nothing comes in that would show it. */
const PANIC_LOOK_MS = 1000;
/** 29 % of 100 is 28.999999999999996 to a computer. */
const ROUNDING = 1e-9;

/** A backend of the pool, as far as ejections go. */
export interface Suspect {
  readonly name: string;
  /** Whether it would get connections if it were not ejected. */
  readonly eligible: boolean;
  readonly ejection: Ejection | undefined;
  eject(finding: Finding): void;
  /** Ends its ejection, for a reason. */
  readmit(cause: string): void;
}

export interface OutlierEvents {
  ejected(backend: string, finding: Finding): void;
  /** A backend should be out and cannot be; once until `calm`. */
  panic(backend: string, finding: Finding): void;
  calm(): void;
}

interface Case {
  readonly suspect: Suspect;
  readonly evidence: Evidence;
  /** The ejection that it was taken back from. */
  owed: Ejection | undefined;
  /** Why it should be out, and is not for want of room. */
  withheld: Finding | undefined;
}

export class Outliers {
  readonly #cases: readonly Case[];
  #panic = false;
  #reviewing = false;

  constructor(
    private readonly config: OutlierConfig,
    suspects: readonly Suspect[],
    private readonly events: OutlierEvents,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#cases = suspects.map((suspect) => ({
      suspect,
      evidence: new Evidence(config),
      owed: undefined,
      withheld: undefined,
    }));
  }

  /** Whether a backend should be out and is not. */
  get panic(): boolean {
    return this.#panic;
  }

  /** Why a backend should be out, where it is not for want of room. */
  withheld(backend: string): Finding | undefined {
    return this.#caseOf(backend)?.withheld;
  }

  /** What a backend's agent has counted since it last said. A review has to follow, as for the next two. */
  responded(backend: string, counts: ResponseCounts): void {
    const found = this.#caseOf(backend);
    if (found !== undefined && isOnTrial(found)) found.evidence.responded(counts, this.now());
  }

  /** An accepting thread has found so many handoffs in a row to fail. */
  failing(backend: string, thread: number, failures: Failures): void {
    const found = this.#caseOf(backend);
    if (found !== undefined && isOnTrial(found)) found.evidence.failing(thread, failures, this.now());
  }

  /** A handoff has succeeded since. */
  recovered(backend: string, thread: number): void {
    this.#caseOf(backend)?.evidence.recovered(thread);
  }

  /** Decides anew; to be called when somebody's eligibility may have changed too, and after `dueMs`. */
  review(): void {
    // What is decided here changes states, and whoever hears of a changed state asks for a review.
    if (this.#reviewing) return;
    this.#reviewing = true;
    try {
      const now = this.now();
      this.#endEjections(now);
      this.#takeBack();
      // Counted once: with a thousand backends it is not for each of them.
      let room = this.#room;
      for (const each of this.#cases) if (this.#judge(each, now, room > 0)) room -= 1;
    } finally {
      this.#reviewing = false;
    }
    this.#settle();
  }

  /** Time until the next review, if nothing happens before; undefined where none is needed. */
  get dueMs(): number | undefined {
    const ends = this.#cases.map(({ suspect }) => (suspect.ejection?.until ?? Infinity) - this.now());
    const next = Math.min(...ends, this.#panic ? PANIC_LOOK_MS : Infinity);
    return next === Infinity ? undefined : Math.max(0, next);
  }

  #endEjections(now: number): void {
    for (const { suspect } of this.#cases) {
      if (suspect.ejection !== undefined && suspect.ejection.until <= now)
        suspect.readmit('its ejection is over');
    }
  }

  /** Those come first whose time is over first. */
  #takeBack(): void {
    while (this.#room < 0) {
      const out = this.#cases.filter(isOut);
      const first = out.reduce((a, b) => (untilOf(b) < untilOf(a) ? b : a));
      first.owed = first.suspect.ejection;
      first.suspect.readmit('taken back: others are gone, and too few would be left');
    }
  }

  /** Returns whether it was ejected. */
  #judge(each: Case, now: number, room: boolean): boolean {
    const { suspect, evidence } = each;
    if (!isOnTrial(each)) evidence.clear();
    const owed = each.owed !== undefined && each.owed.until > now ? each.owed.finding : undefined;
    const found = evidence.finding(now);
    each.withheld = suspect.eligible && !room ? (found ?? owed) : undefined;
    // Whoever was taken back is on trial from then on: with room again, only new evidence counts.
    if (owed === undefined || room) each.owed = undefined;
    if (found === undefined || !room) return false;
    evidence.clear();
    suspect.eject(found);
    this.events.ejected(suspect.name, found);
    return true;
  }

  /** How many more backends may be ejected; less than none where some have to come back. */
  get #room(): number {
    const eligible = this.#cases.filter(({ suspect }) => suspect.eligible);
    const share = Math.floor(this.config.max_share * eligible.length + ROUNDING);
    return Math.max(0, Math.min(share, eligible.length - 1)) - eligible.filter(isOut).length;
  }

  #settle(): void {
    const withheld = this.#cases.find((each) => each.withheld !== undefined);
    const before = this.#panic;
    this.#panic = withheld !== undefined;
    if (withheld?.withheld !== undefined && !before) {
      this.events.panic(withheld.suspect.name, withheld.withheld);
    } else if (withheld === undefined && before) {
      this.events.calm();
    }
  }

  #caseOf(backend: string): Case | undefined {
    return this.#cases.find(({ suspect }) => suspect.name === backend);
  }
}

/** Whether a case gets connections now, so that something can be learnt of it. */
function isOnTrial({ suspect }: Case): boolean {
  return suspect.eligible && suspect.ejection === undefined;
}

function isOut({ suspect }: Case): boolean {
  return suspect.eligible && suspect.ejection !== undefined;
}

function untilOf({ suspect }: Case): number {
  return suspect.ejection?.until ?? Infinity;
}
