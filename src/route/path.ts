/**
 * Paths as rules compare them. A client may write `/admin` as `/x/../%61dmin`; a backend that resolves what the
 * router did not would serve what another route was meant to guard.
 */
const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * The path with escapes of unreserved characters decoded, other escapes in upper case (RFC 3986 sections 6.2.2.1
 * and 6.2.2.2) and then without dot segments (section 5.2.4). Decoding comes first, so `%2e` is a dot. It happens
 * once, so `%252e` is not. Broken escapes and repeated slashes stay. A path that needs none of it is returned
 * as it is, without allocation.
 */
export function normalisePath(path: string): string {
  const decoded = path.includes('%') ? normaliseEscapes(path) : path;
  return hasDotSegment(decoded) ? removeDotSegments(decoded) : decoded;
}

function normaliseEscapes(path: string): string {
  let result = '';
  let copied = 0;
  for (let at = path.indexOf('%'); at >= 0; at = path.indexOf('%', at + 1)) {
    const high = hexValue(path.charCodeAt(at + 1));
    const low = hexValue(path.charCodeAt(at + 2));
    if (high < 0 || low < 0) continue;
    const code = high * 16 + low;
    if (isUnreserved(code)) {
      result += path.slice(copied, at) + String.fromCharCode(code);
      copied = at + 3;
    } else if (path.charCodeAt(at + 1) >= 0x61 || path.charCodeAt(at + 2) >= 0x61) {
      result += path.slice(copied, at) + path.slice(at, at + 3).toUpperCase();
      copied = at + 3;
    }
  }
  return copied === 0 ? path : result + path.slice(copied);
}

function hasDotSegment(path: string): boolean {
  for (let at = path.indexOf('/.'); at >= 0; at = path.indexOf('/.', at + 1)) {
    const end = path.charCodeAt(at + 2) === DOT ? at + 3 : at + 2;
    if (end === path.length || path.charCodeAt(end) === SLASH) return true;
  }
  return false;
}

function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  const last = segments.length - 1;
  for (const [i, segment] of segments.entries()) {
    const dots = segment === '.' || segment === '..';
    // The first segment is the empty one before the leading slash; '..' never goes above it.
    if (segment === '..' && kept.length > 1) kept.pop();
    // A dot segment at the end names a directory, so its slash stays.
    if (!dots) kept.push(segment);
    else if (i === last) kept.push('');
  }
  return kept.join('/');
}

/** ALPHA, DIGIT, '-', '.', '_' and '~' (RFC 3986 section 2.3). */
function isUnreserved(code: number): boolean {
  const letter = code | 0x20;
  if ((letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39)) return true;
  return code === 0x2d || code === DOT || code === 0x5f || code === 0x7e;
}

/** -1 for what is not a hexadecimal digit, and for NaN from behind the end. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
