import { Link } from '../parts/link.tsx'
import { setQuery } from '../router.ts'

const MINUTE_MS = 60_000
const AGES = [
  { name: '1 minute', ms: MINUTE_MS },
  { name: '10 minutes', ms: 10 * MINUTE_MS },
  { name: '1 hour', ms: 60 * MINUTE_MS },
  { name: '1 day', ms: 1_440 * MINUTE_MS },
] as const

const SOURCES = ['worker', 'outbox', 'queue', 'database'] as const

export function LetterFilters({ query }: { readonly query: URLSearchParams }) {
  const filter = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const fields = new FormData(event.currentTarget)
    const textOf = (name: string) => String(fields.get(name)).trim()
    setQuery({ topic: textOf('topic'), containing: textOf('containing') })
  }
  return (
    <search class="filters">
      {/* The key gives the fields the values of the address after a step back. */}
      <form class="filters-search" onSubmit={filter} key={query.toString()}>
        <label class="field wide">
          <span>Reason contains</span>
          <input type="search" name="containing" defaultValue={query.get('containing') ?? ''} spellcheck={false} />
        </label>
        <label class="field">
          <span>Topic</span>
          <input
            name="topic"
            defaultValue={query.get('topic') ?? ''}
            placeholder="payment.created"
            spellcheck={false}
          />
        </label>
        <button type="submit">Filter</button>
      </form>
      <label class="field">
        <span>Source</span>
        <select value={query.get('source') ?? ''} onChange={(event) => setQuery({ source: event.currentTarget.value })}>
          <option value="">Any</option>
          {SOURCES.map((source) => (
            <option key={source} value={source}>
              {source}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Older than</span>
        <select
          value={query.get('over_ms') ?? ''}
          onChange={(event) => setQuery({ over_ms: event.currentTarget.value })}
        >
          <option value="">Any age</option>
          {AGES.map(({ name, ms }) => (
            <option key={name} value={ms}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {query.size > 0 && (
        <Link href="/dead-letters" class="filters-clear">
          Clear
        </Link>
      )}
    </search>
  )
}
