import { STATUSES, WAITING_FOR } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { WAITS } from '../parts/pill.tsx'
import { setQuery } from '../router.ts'

const STATUS_NAMES = { PENDING: 'Pending', SUCCESS: 'Success', FAILED: 'Failed' } as const

/** The search and the filters of the payments. They stand in the address, so that a list can be passed on. */
export function Filters({ query }: { readonly query: URLSearchParams }) {
  const search = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const fields = new FormData(event.currentTarget)
    setQuery({ q: String(fields.get('q')).trim(), merchant: String(fields.get('merchant')).trim() })
  }
  const [q, merchant] = [query.get('q') ?? '', query.get('merchant') ?? '']
  return (
    <search class="filters">
      {/* The key gives the fields the values of the address after a step back. */}
      <form class="filters-search" onSubmit={search} key={`${q} ${merchant}`}>
        <label class="field wide">
          <span>Search</span>
          <input
            type="search"
            name="q"
            defaultValue={q}
            placeholder="Id, reference or idempotency key"
            spellcheck={false}
          />
        </label>
        <label class="field">
          <span>Merchant</span>
          <input name="merchant" defaultValue={merchant} placeholder="Id" spellcheck={false} />
        </label>
        <button type="submit">Search</button>
      </form>
      <label class="field">
        <span>Status</span>
        <select value={query.get('status') ?? ''} onChange={(event) => setQuery({ status: event.currentTarget.value })}>
          <option value="">Any</option>
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {STATUS_NAMES[status]}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Waiting for</span>
        <select
          value={query.get('waiting_for') ?? ''}
          onChange={(event) => setQuery({ waiting_for: event.currentTarget.value })}
        >
          <option value="">Any</option>
          {WAITING_FOR.map((name) => (
            <option key={name} value={name}>
              {WAITS[name].name}
            </option>
          ))}
        </select>
      </label>
      {query.size > 0 && (
        <Link href="/payments" class="filters-clear">
          Clear
        </Link>
      )}
    </search>
  )
}
