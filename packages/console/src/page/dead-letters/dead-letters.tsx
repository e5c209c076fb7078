import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { DeadLettersAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Empty, Loaded, Notes } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { route } from '../router.ts'
import { Acts } from './acts.tsx'
import { filterOf } from './filter-of.ts'
import { LetterFilters } from './filters.tsx'
import { LettersTable } from './letters-table.tsx'

export function DeadLettersView() {
  const { query } = route.value
  const filter = filterOf(query)
  const path = pathOf('/api/dead-letters', { ...filter, over_ms: filter.over_ms?.toString() })
  const polled = usePolled<DeadLettersAnswer>(path)
  const selected = useSignal<ReadonlySet<string>>(new Set())
  // Another filter selects others.
  useEffect(() => {
    selected.value = new Set()
  }, [path])
  const letters = polled.data?.letters ?? []
  // A letter that another operator has resolved is no longer selected.
  const ids = letters.map(({ id }) => id).filter((id) => selected.value.has(id))
  return (
    <>
      <h1>Dead letters</h1>
      <LetterFilters query={query} />
      <Loaded polled={polled}>
        {({ more, notes }) =>
          letters.length === 0 ? (
            <NoLetters isFiltered={query.size > 0} />
          ) : (
            <>
              <Notes notes={notes} />
              <Acts filter={filter} ids={ids} shown={letters.length} more={more} again={polled.again} />
              <LettersTable
                letters={letters}
                selected={selected.value}
                select={(some) => {
                  selected.value = some
                }}
              />
            </>
          )
        }
      </Loaded>
    </>
  )
}

function NoLetters({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No dead letter is found">No unresolved dead letter matches the filter.</Empty>
  return <Empty title="No dead letters">No message waits for an operator.</Empty>
}
