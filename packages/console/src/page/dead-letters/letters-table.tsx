import type { DeadLetterAnswer } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import { countText } from '../text/digits.ts'

interface LettersTableProps {
  readonly letters: readonly DeadLetterAnswer[]
  readonly selected: ReadonlySet<string>
  readonly select: (ids: ReadonlySet<string>) => void
}

export function LettersTable({ letters, selected, select }: LettersTableProps) {
  const isAll = letters.every(({ id }) => selected.has(id))
  const toggleAll = () => select(new Set(isAll ? [] : letters.map(({ id }) => id)))
  const toggle = (id: string) => {
    const next = new Set(selected)
    if (!next.delete(id)) next.add(id)
    select(next)
  }
  return (
    <table class={mayOperate() ? 'list letters can-select' : 'list letters'}>
      <caption class="visually-hidden">Dead letters, the oldest first</caption>
      <thead>
        <tr>
          {mayOperate() && (
            <td>
              <input type="checkbox" aria-label="Select all that are shown" checked={isAll} onChange={toggleAll} />
            </td>
          )}
          <th scope="col">Id</th>
          <th scope="col">Reason</th>
          <th scope="col">Source</th>
          <th scope="col">Topic</th>
          <th scope="col" class="number">
            Attempts
          </th>
          <th scope="col" class="number">
            Died
          </th>
        </tr>
      </thead>
      <tbody>
        {letters.map((letter) => (
          <Row key={letter.id} letter={letter} isSelected={selected.has(letter.id)} toggle={() => toggle(letter.id)} />
        ))}
      </tbody>
    </table>
  )
}

interface RowProps {
  readonly letter: DeadLetterAnswer
  readonly isSelected: boolean
  readonly toggle: () => void
}

function Row({ letter: { id, reason, source, topic, attempts, died_at }, isSelected, toggle }: RowProps) {
  return (
    <tr class={isSelected ? 'is-selected' : undefined}>
      {mayOperate() && (
        <td class="check-cell">
          <input type="checkbox" aria-label={`Select dead letter ${id}`} checked={isSelected} onChange={toggle} />
        </td>
      )}
      <th scope="row" class="main-cell">
        <Link href={`/dead-letters/${id}`}>{id}</Link>
      </th>
      <td class="cut reason-cell">
        <Chosen text={reason} />
      </td>
      <td class="cut source-cell">
        <Chosen text={source} />
      </td>
      <td class="cut topic-cell">
        <Chosen text={topic} />
      </td>
      <td class="number">
        {countText(attempts)}
        <span class="narrow-only"> attempts</span>
      </td>
      <td class="number">
        <Ago at={died_at} />
      </td>
    </tr>
  )
}
