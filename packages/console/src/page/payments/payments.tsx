import type { PaymentsAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { livePayments } from '../live.ts'
import { Link } from '../parts/link.tsx'
import { Pages } from '../parts/pages.tsx'
import { Empty, Loaded, Loading, Notes } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { route } from '../router.ts'
import { isFiltered, PAYMENT_FILTERS } from './filter-names.ts'
import { Filters } from './filters.tsx'
import { LiveTable } from './live-table.tsx'
import { PaymentsTable } from './payments-table.tsx'

export function PaymentsView() {
  const { query } = route.value
  return (
    <>
      <h1>Payments</h1>
      <Filters query={query} />
      {isFiltered(query) ? <FoundPayments query={query} /> : <LivePayments />}
    </>
  )
}

function LivePayments() {
  const answer = livePayments.value
  if (answer === null) return <Loading />
  if (answer.payments.length === 0)
    return <Empty title="No payments yet">The first one appears here as soon as the API has taken it.</Empty>
  return (
    <>
      <Notes notes={answer.notes} />
      <LiveTable latest={answer.payments} />
      <Pages path="/payments" query={new URLSearchParams()} next={answer.next} names={['Newest', 'Older']} />
    </>
  )
}

function FoundPayments({ query }: { readonly query: URLSearchParams }) {
  const parameters = Object.fromEntries(PAYMENT_FILTERS.map((name) => [name, query.get(name)]))
  const polled = usePolled<PaymentsAnswer>(pathOf('/api/payments', parameters))
  return (
    <Loaded polled={polled}>
      {({ payments, next, notes }) => (
        <>
          <Notes notes={notes} />
          {payments.length === 0 ? (
            <Empty title="No payment is found">
              <Link href="/payments">Show all payments</Link>
            </Empty>
          ) : (
            <PaymentsTable payments={payments} />
          )}
          <Pages path="/payments" query={query} next={next} names={['Newest', 'Older']} />
        </>
      )}
    </Loaded>
  )
}
