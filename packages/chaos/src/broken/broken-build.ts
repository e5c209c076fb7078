export interface BrokenBuild {
  readonly name: string
  readonly service: 'relay' | 'worker'
  readonly patches: readonly Patch[]
}

/** A blunder, as one that edits a source file would make it. */
export interface Patch {
  /** From the repository's root. */
  readonly file: string
  /** Occurs exactly once. */
  readonly from: string
  readonly to: string
}

/**
 * Node's arguments that make a service the broken build of itself, in memory only. It ends with an error before its
 * `main.ts` begins if a patch does not fit: the source has changed, and the patch has to follow.
 */
export function nodeArgumentsOf(build: BrokenBuild): string[] {
  const loader = new URL('loader.ts', import.meta.url)
  // In its own URL, not in the environment: a service sees its settings only.
  loader.searchParams.set('build', JSON.stringify(build))
  return ['--import', loader.href]
}
