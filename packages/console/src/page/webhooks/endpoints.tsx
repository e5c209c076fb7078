import { ENDPOINT_STATES, type EndpointsAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Link } from '../parts/link.tsx'
import { Pages } from '../parts/pages.tsx'
import { Empty, Loaded, Notes } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { route, setQuery } from '../router.ts'
import { STATE_NAMES } from './endpoint-state.tsx'
import { EndpointsTable } from './endpoints-table.tsx'

const FILTERS = ['merchant', 'state', 'after'] as const

export function EndpointsView() {
  const { query } = route.value
  const parameters = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]))
  const polled = usePolled<EndpointsAnswer>(pathOf('/api/webhooks/endpoints', parameters))
  return (
    <>
      <h1>Webhooks</h1>
      <EndpointFilters query={query} />
      <Loaded polled={polled}>
        {({ endpoints, next, notes }) => (
          <>
            <Notes notes={notes} />
            {endpoints.length === 0 ? (
              <NoEndpoints isFiltered={query.size > 0} />
            ) : (
              <EndpointsTable endpoints={endpoints} />
            )}
            <Pages path="/webhooks" query={query} next={next} names={['First', 'Next']} />
          </>
        )}
      </Loaded>
    </>
  )
}

function NoEndpoints({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No endpoint is found">No endpoint matches the filter.</Empty>
  return <Empty title="No endpoints yet">Merchants create them with the API.</Empty>
}

function EndpointFilters({ query }: { readonly query: URLSearchParams }) {
  const filter = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    setQuery({ merchant: String(new FormData(event.currentTarget).get('merchant')).trim() })
  }
  const merchant = query.get('merchant') ?? ''
  return (
    <search class="filters">
      {/* The key gives the field the value of the address after a step back. */}
      <form class="filters-search" onSubmit={filter} key={merchant}>
        <label class="field wide">
          <span>Merchant</span>
          <input type="search" name="merchant" defaultValue={merchant} placeholder="Id" spellcheck={false} />
        </label>
        <button type="submit">Filter</button>
      </form>
      <label class="field">
        <span>State</span>
        <select value={query.get('state') ?? ''} onChange={(event) => setQuery({ state: event.currentTarget.value })}>
          <option value="">Any</option>
          {ENDPOINT_STATES.map((state) => (
            <option key={state} value={state}>
              {STATE_NAMES[state]}
            </option>
          ))}
        </select>
      </label>
      {query.size > 0 && (
        <Link href="/webhooks" class="filters-clear">
          Clear
        </Link>
      )}
    </search>
  )
}
