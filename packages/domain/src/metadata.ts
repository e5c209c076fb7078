import type { Refusal } from './result.ts'

/** Strings that a merchant stores with a payment, by name, in the byte order of the names in UTF-8. */
export type Metadata = ReadonlyMap<string, string>

/** Lengths are in code points. */
export const METADATA_LIMITS = { pairsMax: 50, nameLengthMax: 40, valueLengthMax: 500 } as const
const { pairsMax, nameLengthMax, valueLengthMax } = METADATA_LIMITS

export type MetadataCode =
  | 'metadata_size'
  | 'metadata_name_length'
  | 'metadata_name_reserved'
  | 'metadata_value_type'
  | 'metadata_value_length'
  | 'metadata_characters'

export interface MetadataRefusal extends Refusal<MetadataCode> {
  /** The name of the refused pair. Undefined if the metadata as a whole is refused. */
  readonly name: string | undefined
}

export type MetadataResult =
  /** `value` is null if there are no pairs. */
  | { readonly ok: true; readonly value: Metadata | null }
  | { readonly ok: false; readonly refusals: readonly MetadataRefusal[] }

/** Reads metadata with different names. Names and values are neither trimmed nor normalised. */
export function readMetadata(pairs: Iterable<readonly [name: string, value: unknown]>): MetadataResult {
  const given = [...pairs]
  if (given.length > pairsMax) {
    const detail = `must have at most ${pairsMax} pairs`
    return { ok: false, refusals: [{ name: undefined, code: 'metadata_size', detail }] }
  }
  const refusals = given.flatMap(([name, value]) => refusalOf(name, value) ?? [])
  if (refusals.length > 0) return { ok: false, refusals }
  return { ok: true, value: given.length > 0 ? metadataOf(given as [string, string][]) : null }
}

/** Metadata of pairs that `readMetadata` has accepted before. */
export function metadataOf(pairs: Iterable<readonly [name: string, value: string]>): Metadata {
  return new Map([...pairs].sort(([one], [other]) => byBytes(one, other)))
}

function refusalOf(name: string, value: unknown): MetadataRefusal | undefined {
  const refuse = (code: MetadataCode, detail: string) => ({ name, code, detail })
  // A program that copies the pairs to an object would set its prototype.
  if (name === '__proto__') return refuse('metadata_name_reserved', 'must have another name')
  if (name === '' || isLongerThan(nameLengthMax, name))
    return refuse('metadata_name_length', `must have a name of 1 to ${nameLengthMax} characters`)
  if (typeof value !== 'string') return refuse('metadata_value_type', 'must be a string')
  if (isLongerThan(valueLengthMax, value))
    return refuse('metadata_value_length', `must have at most ${valueLengthMax} characters`)
  if (!isStorable(name) || !isStorable(value))
    return refuse('metadata_characters', 'must not contain U+0000 or broken Unicode, in its name or its value')
  return undefined
}

function isLongerThan(lengthMax: number, text: string): boolean {
  return text.length > lengthMax && [...text].length > lengthMax
}

// PostgreSQL's jsonb cannot hold U+0000, and UTF-8 lacks halves of a surrogate pair.
function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed()
}

/**
 * Compares as the bytes in UTF-8 do, which is the order of the code points. Strings compare by UTF-16 units, and put
 * characters above U+FFFF, which begin with a surrogate, before U+E000 to U+FFFF.
 */
function byBytes(one: string, other: string): number {
  let at = 0
  while (at < one.length && one.charCodeAt(at) === other.charCodeAt(at)) at += 1
  // In the middle of a pair the first halves are equal, and the second ones are in the order of the code points.
  return (one.codePointAt(at) ?? -1) - (other.codePointAt(at) ?? -1)
}
