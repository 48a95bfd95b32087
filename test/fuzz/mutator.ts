import { SOAK } from '../soak';

/** Numbers that sit on the edges of fields and loops, in both byte orders. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
/** Mutations that one input may get: more of them leave nothing of what it was made of. */
const MOST_MUTATIONS = 4;
/** Bytes that one mutation inserts, removes or repeats, mostly. */
const PIECE = 16;
/** Now and then a piece is repeated until the input is this long: for limits of size. */
const LONG = 20_000;

/** Where the numbers of a run come from: the same seed gives the same ones. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number of 32 bits: mulberry32, which is small, fast and even enough for this. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % Math.max(1, limit);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

/**
 * Changes good inputs into nearly good ones, which get further than noise does.
 *
 *   corpus       what the target takes, and what it once failed at
 *   dictionary   pieces that mean something to it: put in, or in the place of others
 */
export class Mutator {
  readonly #corpus: readonly Buffer[];
  readonly #dictionary: readonly Buffer[];

  constructor(corpus: readonly Buffer[], dictionary: readonly (Buffer | string)[] = []) {
    this.#corpus = corpus;
    // Text stands for its octets.
    this.#dictionary = dictionary.map((word) => Buffer.from(word as string, 'latin1'));
  }

  /** One of the corpus with one change, or half as often with one more, and so on. */
  make(random: Random): Buffer {
    let bytes = this.#change(random.pick(this.#corpus), random);
    for (let left = MOST_MUTATIONS - 1; left > 0 && random.oneIn(2); left--)
      bytes = this.#change(bytes, random);
    return bytes;
  }

  #change(bytes: Buffer, random: Random): Buffer {
    const at = random.below(bytes.length + 1);
    const length = Math.min(1 + random.below(random.oneIn(8) ? bytes.length : PIECE), bytes.length - at);
    const piece = bytes.subarray(at, at + length);
    const replace = (...pieces: Buffer[]): Buffer =>
      Buffer.concat([bytes.subarray(0, at), ...pieces, bytes.subarray(at + length)]);
    switch (random.below(9)) {
      case 0:
        return replace();
      case 1:
        return replace(random.bytes(length));
      case 2:
        return replace(piece, piece);
      case 3:
        return replace(random.bytes(1 + random.below(PIECE)), piece);
      case 4:
        return replace(this.#word(random), piece);
      case 5:
        return replace(this.#word(random));
      case 6:
        return this.#splice(bytes.subarray(0, at), random);
      case 7:
        return overwrite(bytes, at, random);
      default:
        return random.oneIn(50) ? replace(repeat(piece)) : bytes.subarray(0, at);
    }
  }

  #word(random: Random): Buffer {
    return this.#dictionary.length === 0 ? random.bytes(1) : random.pick(this.#dictionary);
  }

  /** The beginning of one and the end of another. */
  #splice(beginning: Buffer, random: Random): Buffer {
    const other = random.pick(this.#corpus);
    return Buffer.concat([beginning, other.subarray(random.below(other.length + 1))]);
  }
}

/** A number from the edges, or a near one, over what is there. */
function overwrite(bytes: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const width = random.pick([1, 2, 4]);
  if (at + width > copy.length) return copy;
  const near = random.pick(EDGES) + random.pick([0, 0, 0, -1, 1]);
  const value = (near >>> 0) % 2 ** (8 * width);
  if (random.oneIn(2)) copy.writeUIntBE(value, at, width);
  else copy.writeUIntLE(value, at, width);
  return copy;
}

function repeat(piece: Buffer): Buffer {
  return piece.length === 0 ? piece : Buffer.alloc(LONG, piece);
}

/**
 * The seed of a run and, to repeat a failure, the only case to try: `BATON_SEED=7`, `BATON_SEED=7:1234`. A soak tries
 * something new each time; a run in CI does not, because it must not fail by luck.
 */
export function seedOf(text = process.env.BATON_SEED): { readonly seed: number; readonly only?: number } {
  if (text === undefined) return { seed: SOAK ? Date.now() >>> 0 : 1 };
  const [seed = '', only] = text.split(':');
  return { seed: Number(seed), ...(only !== undefined && { only: Number(only) }) };
}

/** What the numbers of one case come from: cases do not depend on those before them. */
export function randomFor(seed: number, index: number): Random {
  return new Random(new Random(seed).next() ^ Math.imul(index + 1, 0x9e3779b1));
}
