import type { CompiledRule } from './compiled-rule';
import { isSuffixPattern, normaliseHostPatterns } from './host';
import type { RouteMatch } from './match';
import { PathIndex } from './path-index';
import type { Search } from './search';

/**
 * Entries of one rule. A thousand hosts with a thousand paths each would be a million of them; a rule of that kind is
 * found by its host alone.
 */
const MOST_ENTRIES = 1024;

/** A label before others, counted from the right: 'example' is one before 'com'. */
interface Label {
  before?: Map<string, Label>;
  /** `host: '*.a'`: there are more labels before this one. */
  goesOn?: PathIndex;
}

/**
 * Rules by what they ask of a head, so that a head meets the few that may fit instead of all: by host, exact or suffix,
 * and for each host by path (10,000 prefixes of one host are as common as one prefix of 10,000 hosts). A rule with a
 * list stands under each member of it. The index only narrows; whether a rule fits is for its own conditions to say.
 *
 * Rules that differ in neither of these stand in one list and are tried one after the other.
 */
export class RuleIndex {
  private readonly hosts = new Map<string, PathIndex>();
  private readonly root: Label = {};
  private readonly anyHost = new PathIndex();

  /** Rules come in the order of their numbers. */
  add(rule: CompiledRule, match: RouteMatch): void {
    const places = match.host
      ? normaliseHostPatterns(match.host).map((each) => this.place(each))
      : [this.anyHost];
    const paths = (match.path ?? match.path_prefix ?? []).length;
    for (const place of places) place.add(rule, places.length * paths > MOST_ENTRIES ? {} : match);
  }

  search(search: Search): void {
    if (this.hosts.size > 0) this.hosts.get(search.head.host)?.search(search);
    if (this.root.before) this.walk(search, search.head.host);
    this.anyHost.search(search);
  }

  /** The rules of a host or suffix, a new place if there are none yet. */
  private place(pattern: string): PathIndex {
    if (isSuffixPattern(pattern)) return (this.label(pattern.slice(2)).goesOn ??= new PathIndex());
    let place = this.hosts.get(pattern);
    if (!place) this.hosts.set(pattern, (place = new PathIndex()));
    return place;
  }

  /** The first label of a suffix, which is made if it is not there. */
  private label(suffix: string): Label {
    let label = this.root;
    for (const name of suffix.split('.').reverse()) {
      label.before ??= new Map<string, Label>();
      let next = label.before.get(name);
      if (!next) label.before.set(name, (next = {}));
      label = next;
    }
    return label;
  }

  /** From the last label on towards the first, which is never a suffix: something has to stand in for the `*`. */
  private walk(search: Search, host: string): void {
    let { before } = this.root;
    let end = host.length;
    while (before) {
      const dot = host.lastIndexOf('.', end - 1);
      if (dot <= 0) return;
      const label: Label | undefined = before.get(host.slice(dot + 1, end));
      if (!label) return;
      label.goesOn?.search(search);
      before = label.before;
      end = dot;
    }
  }
}
