import type { Overview } from '../../answers.ts'
import { overview } from '../live.ts'
import { Loading } from '../parts/states.tsx'
import { AttentionList } from './attention.tsx'
import { Charts } from './charts.tsx'
import { Pipeline } from './pipeline.tsx'

export function OverviewView() {
  return (
    <>
      <h1>Overview</h1>
      {overview.value === null ? <Loading /> : <Now overview={overview.value} />}
      <Charts />
    </>
  )
}

function Now({ overview: answer }: { readonly overview: Overview }) {
  return (
    <>
      <Pipeline overview={answer} />
      <AttentionList rows={answer.rows} />
    </>
  )
}
