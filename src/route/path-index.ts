import type { CompiledRule } from './compiled-rule';
import type { RouteMatch } from './match';
import { normalisePath } from './path';
import type { Search } from './search';

/** A segment below others, with what asks for a path that leads here; what nobody asks for is absent. */
interface Segment {
  below?: Map<string, Segment>;
  /** `path: /a`: the path ends here. */
  ends?: CompiledRule[];
  /** `path_prefix: /a`: it ends here or goes on. */
  passes?: CompiledRule[];
  /** `path_prefix: /a/`: it goes on, if only by a slash. */
  goesOn?: CompiledRule[];
}

/**
 * Rules by path: a tree of segments, each with the slash before it, and a list of those that do not look at the path.
 *
 *   root               goesOn: [path_prefix: /]
 *   |-- '/healthz'     ends: [path: /healthz]
 *   `-- '/v1'          passes: [path_prefix: /v1]   goesOn: [path_prefix: /v1/]
 *       `-- '/users'   passes: [path_prefix: /v1/users]
 *
 * A walk ends where no rule goes further, so that a path of ten thousand segments costs no more than a rule's own.
 */
export class PathIndex {
  private readonly root: Segment = {};
  /** Without any, a head is not asked for its path. */
  private hasPaths = false;
  private readonly anyPath: CompiledRule[] = [];

  /** Rules come in the order of their numbers. Of `path` and `path_prefix`, the one that fits fewer heads decides. */
  add(rule: CompiledRule, { path, path_prefix }: RouteMatch): void {
    if (path) for (const each of unique(path)) (this.segment(each).ends ??= []).push(rule);
    else if (path_prefix) for (const each of unique(path_prefix)) this.addPrefix(rule, each);
    else this.anyPath.push(rule);
  }

  search(search: Search): void {
    if (this.hasPaths) this.walk(search, search.head.path);
    search.offer(this.anyPath);
  }

  private addPrefix(rule: CompiledRule, prefix: string): void {
    if (prefix.endsWith('/')) (this.segment(prefix.slice(0, -1)).goesOn ??= []).push(rule);
    else (this.segment(prefix).passes ??= []).push(rule);
  }

  /** The last segment of a path, which is made if it is not there. */
  private segment(path: string): Segment {
    this.hasPaths = true;
    let segment = this.root;
    for (let start = 0; start < path.length;) {
      const end = endOfSegment(path, start);
      const name = path.slice(start, end);
      segment.below ??= new Map<string, Segment>();
      let next = segment.below.get(name);
      if (!next) segment.below.set(name, (next = {}));
      segment = next;
      start = end;
    }
    return segment;
  }

  private walk(search: Search, path: string): void {
    let segment: Segment | undefined = this.root;
    let start = 0;
    while (segment) {
      if (segment.passes) search.offer(segment.passes);
      if (start === path.length) {
        if (segment.ends) search.offer(segment.ends);
        return;
      }
      if (segment.goesOn) search.offer(segment.goesOn);
      if (!segment.below) return;
      const end = endOfSegment(path, start);
      segment = segment.below.get(path.slice(start, end));
      start = end;
    }
  }
}

/** Where the segment ends that starts there, with its slash if it has one: `*` has none. */
function endOfSegment(path: string, start: number): number {
  const slash = path.indexOf('/', start + 1);
  return slash < 0 ? path.length : slash;
}

function unique(paths: readonly string[]): Set<string> {
  return new Set(paths.map(normalisePath));
}
