/** 1 MiB, in characters, of each stream: enough to explain a failure, and a chatty program cannot fill the memory. */
const TEXT_LIMIT = 1024 * 1024;

/** A stream without line ends is cut here, so that the unfinished line is bounded too. */
const LINE_LIMIT = 64 * 1024;

/** The last part of what a stream said, and its division into lines. */
export class OutputTail {
  private kept = '';
  private unfinished = '';

  get text(): string {
    return this.kept;
  }

  /** Takes the next piece and returns the lines that it completed, without their line ends. */
  feed(piece: string): string[] {
    this.kept = (this.kept + piece).slice(-TEXT_LIMIT);
    const lines = (this.unfinished + piece).split('\n');
    const last = lines.pop() ?? '';
    this.unfinished = last.length < LINE_LIMIT ? last : '';
    return this.unfinished === last ? lines : [...lines, last];
  }

  /** The line that the end of the stream left unfinished, if any. */
  finish(): string[] {
    const last = this.unfinished;
    this.unfinished = '';
    return last === '' ? [] : [last];
  }
}
