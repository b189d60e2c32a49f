import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { TopItem } from '../api';
import { command, tapOptions } from '../lib/cli';
import { count, millis, percent } from '../lib/format';
import { CopyCli, Name, Panel } from '../parts/Common';
import { Icon } from '../parts/Icon';
import { OnlyNow } from '../parts/Past';
import { Table, type Column } from '../parts/Table';
import { link, setQuery, where } from '../state/where';
import { FILTERS, FilterForm, NoRight, chosen, useFlow } from './Tap';

const NAMES = FILTERS.map((f) => f.name).filter((n) => n !== 'headers' && n !== 'max_rps');

const COLUMNS: Column<TopItem>[] = [
  { key: 'source', head: 'Caller', cell: (t) => <Name namespace={t.source_namespace} name={t.source} />, sort: (t) => t.source ?? '' },
  { key: 'destination', head: 'Called', cell: (t) => <Name namespace={t.destination_namespace} name={t.destination} />, sort: (t) => t.destination ?? '' },
  { key: 'method', head: 'Method', cell: (t) => <b>{t.method}</b>, sort: (t) => t.method },
  { key: 'path', head: 'Path', wide: true, cell: (t) => <code>{t.path}</code>, sort: (t) => t.path },
  { key: 'count', head: 'Count', numeric: true, cell: (t) => count(t.count), sort: (t) => t.count },
  { key: 'best', head: 'Best', numeric: true, cell: (t) => millis(t.best_ms), sort: (t) => t.best_ms },
  { key: 'worst', head: 'Worst', numeric: true, cell: (t) => millis(t.worst_ms), sort: (t) => t.worst_ms },
  { key: 'last', head: 'Last', numeric: true, cell: (t) => millis(t.last_ms), sort: (t) => t.last_ms },
  { key: 'success', head: 'Success', numeric: true, cell: (t) => <span class={t.success_rate < 0.9 ? 'failing' : t.success_rate < 0.99 ? 'degraded' : ''}>{percent(t.success_rate)}</span>, sort: (t) => t.success_rate },
  {
    key: 'tap',
    head: '',
    cell: (t) => (
      <a class="button small" aria-label={`Tap ${t.method} ${t.path}`} href={link('tap', [], { source: t.source ?? '', destination: t.destination ?? '', method: t.method, path: t.path, run: '1' })}>
        <Icon name="tap" size={13} /> Tap
      </a>
    ),
  },
];

export function Top(): JSX.Element {
  // Opened, it runs: that is what it is for.
  const running = where.value.query.run !== '0';
  const query = chosen(NAMES);
  const [answer, setAnswer] = useState<{ items: TopItem[]; seen?: number; sampled?: number } | null>(null);
  const [notice, setNotice] = useState('');
  const flow = useFlow('top', query, running, (event, data) => {
    if (event === 'top') setAnswer(data as { items: TopItem[] });
    else if (event === 'notice') setNotice(String((data as { text?: unknown }).text ?? ''));
  });
  void flow.turn;
  return (
    <div class="screen top">
      <OnlyNow what="What is counted here" />
      <Panel title="Which requests" actions={<CopyCli command={command('top', [], tapOptions(query))} />}>
        <FilterForm
          names={NAMES}
          running={running}
          onStart={(values) => {
            setAnswer(null);
            setQuery({ ...values, run: '' });
          }}
          onStop={() => setQuery({ run: '0' })}
        />
      </Panel>
      {flow.error && running && (
        <div class="state error" role="alert">
          <strong>Nothing is counted.</strong> {flow.error}
        </div>
      )}
      {notice && <div class="state">{notice}</div>}
      <NoRight />
      <Panel title="Calls" note={answer ? `${count(answer.seen ?? 0)} seen${answer.sampled !== undefined && answer.sampled < 1 ? `, sampled: ${percent(answer.sampled, 0)}` : ''}${running ? '' : ' · stopped'}` : running ? 'waiting for the first' : 'stopped'}>
        <Table caption="Calls, most frequent first" columns={COLUMNS} rows={answer?.items ?? []} rowKey={(t) => `${t.source_namespace}/${t.source}/${t.destination}/${t.method}/${t.path}`} empty={running ? 'No request that matches has come by yet.' : 'Stopped.'} />
      </Panel>
    </div>
  );
}
