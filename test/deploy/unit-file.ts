import { readFileSync } from 'node:fs';

/** A systemd unit as it stands in its file (systemd.syntax(7)), as far as Baton's own go: no continued lines, no quotes. */
export class UnitFile {
  readonly #settings = new Map<string, string[]>();

  constructor(text: string) {
    let section = '';
    for (const line of text.split('\n').map((line) => line.trim())) {
      if (line === '' || /^[#;]/.test(line)) continue;
      const header = /^\[(.*)\]$/.exec(line);
      if (header !== null) section = header[1] ?? '';
      else this.#take(section, line);
    }
  }

  static read(path: string): UnitFile {
    return new UnitFile(readFileSync(path, 'utf8'));
  }

  /** All values of a setting in their order, `Section.Key`; an empty one takes back those before it. */
  values(setting: string): readonly string[] {
    return this.#settings.get(setting) ?? [];
  }

  /** The value that counts where only one does; throws where there is none. */
  value(setting: string): string {
    const value = this.values(setting).at(-1);
    if (value === undefined) throw new Error(`${setting}= is not set`);
    return value;
  }

  /** The words of a list. */
  words(setting: string): readonly string[] {
    return this.values(setting).flatMap((value) => value.split(/\s+/));
  }

  isOn(setting: string): boolean {
    return ['yes', 'true', 'on', '1'].includes(this.values(setting).at(-1) ?? 'no');
  }

  #take(section: string, line: string): void {
    const equals = line.indexOf('=');
    if (equals < 0 || line.endsWith('\\')) throw new Error(`not understood: ${line}`);
    const setting = `${section}.${line.slice(0, equals).trim()}`;
    const value = line.slice(equals + 1).trim();
    this.#settings.set(setting, value === '' ? [] : [...this.values(setting), value]);
  }
}
