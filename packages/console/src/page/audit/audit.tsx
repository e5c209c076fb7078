import type { AuditAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Link } from '../parts/link.tsx'
import { Empty, Loaded, Notes } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { route, setQuery } from '../router.ts'
import { ActsTable } from './acts-table.tsx'

const FILTERS = ['target', 'actor', 'action'] as const
const LABELS = { target: 'Target', actor: 'Operator', action: 'Action' } as const
const EXAMPLES = {
  target: 'Id of a payment, merchant, key or dead letter',
  actor: 'Name',
  action: 'dead requeue',
} as const

export function AuditView() {
  const { query } = route.value
  const parameter = (name: string) => query.get(name)
  const filters = Object.fromEntries(FILTERS.map((name) => [name, parameter(name)]))
  const polled = usePolled<AuditAnswer>(pathOf('/api/audit', { ...filters, before: parameter('before') }))
  return (
    <>
      <h1>Audit log</h1>
      <AuditFilters query={query} />
      <Loaded polled={polled}>
        {({ acts, next, notes }) => (
          <>
            <Notes notes={notes} />
            {acts.length === 0 ? (
              <Empty title={query.size > 0 ? 'No act is found' : 'No acts yet'}>
                {query.size > 0 ? 'No act matches the filter.' : 'What operators do is listed here.'}
              </Empty>
            ) : (
              <ActsTable acts={acts} />
            )}
            <nav class="pages" aria-label="Pages">
              {parameter('before') !== null && <Link href={pathOf('/audit', filters)}>Newest</Link>}
              {next !== null && <Link href={pathOf('/audit', { ...filters, before: next })}>Older</Link>}
            </nav>
          </>
        )}
      </Loaded>
    </>
  )
}

function AuditFilters({ query }: { readonly query: URLSearchParams }) {
  const filter = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const fields = new FormData(event.currentTarget)
    setQuery(Object.fromEntries(FILTERS.map((name) => [name, String(fields.get(name)).trim()])))
  }
  return (
    <search class="filters">
      {/* The key gives the fields the values of the address after a step back. */}
      <form class="filters-search" onSubmit={filter} key={query.toString()}>
        {FILTERS.map((name) => (
          <label key={name} class={name === 'target' ? 'field wide' : 'field'}>
            <span>{LABELS[name]}</span>
            <input name={name} defaultValue={query.get(name) ?? ''} placeholder={EXAMPLES[name]} spellcheck={false} />
          </label>
        ))}
        <button type="submit">Filter</button>
      </form>
      {query.size > 0 && (
        <Link href="/audit" class="filters-clear">
          Clear
        </Link>
      )}
    </search>
  )
}
