import { useSignal } from '@preact/signals'
import type { MerchantAnswer, MerchantsAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Link } from '../parts/link.tsx'
import { Pages } from '../parts/pages.tsx'
import { Empty, Loaded } from '../parts/states.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { usePolled } from '../polled.ts'
import { route, setQuery } from '../router.ts'
import { mayOperate } from '../session.ts'
import { NewMerchantDialog } from './new-merchant.tsx'
import { NoPepper } from './no-pepper.tsx'

export function MerchantsView() {
  const { query } = route.value
  const isOpen = useSignal(false)
  const parameters = { name: query.get('name'), after: query.get('after') }
  const polled = usePolled<MerchantsAnswer>(pathOf('/api/merchants', parameters))
  return (
    <>
      <div class="title">
        <h1>Merchants</h1>
        {mayOperate() && (
          <div class="acts">
            <button
              type="button"
              onClick={() => {
                isOpen.value = true
              }}
            >
              New merchant…
            </button>
          </div>
        )}
      </div>
      <Search name={query.get('name') ?? ''} />
      <Loaded polled={polled}>
        {({ merchants, next, can_make_keys }) => (
          <>
            {!can_make_keys && <NoPepper />}
            {merchants.length === 0 ? <NoMerchants query={query} /> : <MerchantsTable merchants={merchants} />}
            <Pages path="/merchants" query={query} next={next} names={['First', 'Next']} />
          </>
        )}
      </Loaded>
      {isOpen.value && (
        <NewMerchantDialog
          close={() => {
            isOpen.value = false
          }}
        />
      )}
    </>
  )
}

function Search({ name }: { readonly name: string }) {
  const search = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    setQuery({ name: String(new FormData(event.currentTarget).get('name')).trim() })
  }
  return (
    <search class="filters">
      {/* The key gives the field the value of the address after a step back. */}
      <form class="filters-search" onSubmit={search} key={name}>
        <label class="field wide">
          <span>Name begins with</span>
          <input type="search" name="name" defaultValue={name} maxLength={255} spellcheck={false} />
        </label>
        <button type="submit">Search</button>
      </form>
      {name !== '' && (
        <Link href="/merchants" class="filters-clear">
          Clear
        </Link>
      )}
    </search>
  )
}

function NoMerchants({ query }: { readonly query: URLSearchParams }) {
  if (query.size === 0) return <Empty title="No merchants yet">Each merchant has its own payments and keys.</Empty>
  return <Empty title="No merchant is found">No name begins with this. Upper and lower case differ.</Empty>
}

function MerchantsTable({ merchants }: { readonly merchants: readonly MerchantAnswer[] }) {
  return (
    <table class="list merchants">
      <caption class="visually-hidden">Merchants, the oldest first</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Id</th>
          <th scope="col" class="number">
            Created
          </th>
        </tr>
      </thead>
      <tbody>
        {merchants.map(({ id, name, created_at }) => (
          <tr key={id}>
            <th scope="row" class="cut main-cell">
              <Link href={`/merchants/${id}`}>
                <Chosen text={name} />
              </Link>
            </th>
            <td class="cut id-cell">
              <code>{id}</code>
            </td>
            <td class="number">
              <Ago at={created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
