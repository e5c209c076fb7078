import type { StatusRow } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { Chosen } from '../parts/text.tsx'
import { attentionOf } from './over.ts'

/** The rows that are over their thresholds, each with what to do. */
export function AttentionList({ rows }: { readonly rows: readonly StatusRow[] }) {
  const over = rows.filter((row) => row.over !== null)
  return (
    <section class="card attention-card" aria-labelledby="attention">
      <div class="card-head">
        <h2 id="attention">Needs attention</h2>
        {over.length > 0 && <span class="muted">{over.length}</span>}
      </div>
      {over.length === 0 ? <AllIsWell /> : <ul class="attention">{over.map(itemOf)}</ul>}
    </section>
  )
}

function AllIsWell() {
  return (
    <div class="well">
      <svg viewBox="0 0 24 24" width={24} height={24} aria-hidden="true">
        <path d="m5 12.5 4.5 4.5L19 7.5" />
      </svg>
      <div>
        <p class="empty-title">All is well</p>
        <p class="muted">Nothing is over its threshold.</p>
      </div>
    </div>
  )
}

function itemOf(row: StatusRow, index: number) {
  const { title, value, limit, meaning, link } = attentionOf(row)
  return (
    <li key={index}>
      <p class="attention-head">
        <strong>
          <Chosen text={title} />
        </strong>
        {limit && <span class="pill bad">{limit}</span>}
      </p>
      <div>
        <p>
          <Chosen text={meaning} />
        </p>
        <p class="muted">
          <Chosen text={value} />
        </p>
      </div>
      {link && <Link href={link.href}>{link.text}</Link>}
    </li>
  )
}
