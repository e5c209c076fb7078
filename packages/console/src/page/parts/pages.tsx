import { pathOf } from '../api.ts'
import { Link } from './link.tsx'

interface PagesProps {
  readonly path: string
  readonly query: URLSearchParams
  /** The `after` of the next page. */
  readonly next: string | null
  /** The names of the links to the first page and to the next one. */
  readonly names: readonly [first: string, next: string]
}

/** The links between the pages of a list. Its page stands in the address as `after`. */
export function Pages({ path, query, next, names }: PagesProps) {
  const hrefOf = (after: string | null) => pathOf(path, { ...Object.fromEntries(query), after })
  const isFirst = !query.get('after')
  if (isFirst && next === null) return null
  return (
    <nav class="pages" aria-label="Pages">
      {!isFirst && <Link href={hrefOf(null)}>{names[0]}</Link>}
      {next !== null && <Link href={hrefOf(next)}>{names[1]}</Link>}
    </nav>
  )
}
