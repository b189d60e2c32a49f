import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import type { Overview } from './api';
import { clock, duration } from './lib/format';
import { WINDOWS } from './lib/route';
import { Icon } from './parts/Icon';
import { Help } from './parts/Help';
import { Search } from './parts/Search';
import { TimeRange } from './parts/TimeRange';
import { TokenDialog } from './parts/TokenDialog';
import { ControlPlane } from './screens/ControlPlane';
import { Now } from './screens/Now';
import { Security } from './screens/Security';
import { Service } from './screens/Service';
import { Tap } from './screens/Tap';
import { Top } from './screens/Top';
import { Topology } from './screens/Topology';
import { TraceView, Traces } from './screens/Traces';
import { SCREENS } from './screens/screens';
import { connected, lostSince, lostWhy, topic } from './state/live';
import { loadInfo } from './state/net';
import { info, mount, refused, token } from './state/session';
import { choice, nextTheme, theme } from './state/theme';
import { go, link, range, setRange, togglePause, where } from './state/where';

const searching = signal(false);
const helping = signal(false);
const typing = signal(false);

export function App(): JSX.Element {
  useKeys();
  useEffect(() => void loadInfo(), []);
  const route = where.value;
  const name = route.screen === 'service' ? (route.parts[1] ?? 'Service') : (SCREENS.find((s) => s.id === route.screen)?.name ?? 'Now');
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = `${name} · Mesh`;
    main.current?.scrollTo?.(0, 0);
  }, [name]);

  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>
        To the content
      </a>
      <Sidebar />
      <div class="page">
        <Topbar name={name} />
        <Banner />
        <main id="main" ref={main} tabIndex={-1}>
          <Screen />
        </main>
      </div>
      <Announcer />
      {searching.value && <Search onClose={() => (searching.value = false)} />}
      {helping.value && <Help onClose={() => (helping.value = false)} />}
      {refused.value !== null && <TokenDialog fixed={info.value === null} />}
    </div>
  );
}

function Screen(): JSX.Element {
  const { screen, parts } = where.value;
  switch (screen) {
    case 'topology':
      return <Topology />;
    case 'service':
      return <Service key={parts.join('/')} namespace={parts[0] ?? ''} name={parts[1] ?? ''} />;
    case 'tap':
      return <Tap />;
    case 'top':
      return <Top />;
    case 'traces':
      return parts[0] ? <TraceView key={parts[0]} id={parts[0]} /> : <Traces />;
    case 'security':
      return <Security />;
    case 'control-plane':
      return <ControlPlane />;
    case 'now':
      return <Now />;
    default:
      return (
        <div class="state">
          <strong>There is no screen “{screen}”.</strong> <a href={link('now')}>To what is broken now</a>
        </div>
      );
  }
}

function Sidebar(): JSX.Element {
  const at = where.value.screen;
  const found = info.value;
  return (
    <nav class="side" aria-label="Screens">
      <a class="brand" href={link('now')}>
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="logo" />
          <path d="M8 9 16 16 24 9M8 23l8-7 8 7M8 9v14M24 9v14" fill="none" stroke="#fff" stroke-width="2.2" />
        </svg>
        Mesh
      </a>
      <ul>
        {SCREENS.map((s) => (
          <li key={s.id}>
            <a href={link(s.id)} aria-current={at === s.id || (s.id === 'now' && at === 'service') ? (at === s.id ? 'page' : 'true') : undefined}>
              <Icon name={s.icon} /> <span>{s.name}</span>
            </a>
          </li>
        ))}
      </ul>
      <footer>
        {found && (
          <>
            <div title="Trust domain">{found.trust_domain}</div>
            <div>
              {found.version && `v${found.version}`}
              {found.uptime_s !== undefined && ` · up ${duration(found.uptime_s)}`}
            </div>
          </>
        )}
        {found?.rights && (
          <div>
            may {found.rights[found.rights.length - 1] ?? 'nothing'}
            {mount.value === null && token.value && (
              <>
                {' · '}
                <button type="button" onClick={() => (refused.value = '')}>
                  other token
                </button>
              </>
            )}
          </div>
        )}
        <div class={connected.value && range.value.live ? 'live' : ''}>{!range.value.live ? 'paused' : connected.value ? 'live' : 'not connected'}</div>
      </footer>
    </nav>
  );
}

function Topbar({ name }: { name: string }): JSX.Element {
  const { screen, parts } = where.value;
  return (
    <header class="bar">
      <h1>
        {name}
        {screen === 'service' && parts[0] && <small>{parts[0]}</small>}
      </h1>
      <button type="button" class="searchbox" onClick={() => (searching.value = true)} aria-keyshortcuts="/">
        <Icon name="search" size={15} /> <span>Search</span> <kbd>/</kbd>
      </button>
      <TimeRange typing={typing.value} onTyping={(open) => (typing.value = open)} />
      <button type="button" class="ghost" aria-label={`Theme: ${choice.value}`} title={`Theme: ${choice.value}`} onClick={nextTheme}>
        <Icon name={choice.value === 'auto' ? 'auto' : theme.value === 'dark' ? 'moon' : 'sun'} />
      </button>
      <button type="button" class="ghost" aria-label="Keys" title="Keys (?)" onClick={() => (helping.value = true)}>
        <Icon name="help" />
      </button>
    </header>
  );
}

function Banner(): JSX.Element | null {
  if (lostSince.value === null || !range.value.live) return null;
  return (
    <div class="banner" role="status">
      <Icon name="bolt" size={15} />
      <span>
        <b>Not connected since {clock(lostSince.value)}.</b> What is shown is of then. It is tried again and again; nothing needs to be done here. <span class="muted">{lostWhy.value}</span>
      </span>
    </div>
  );
}

/** Says what newly broke or mended, at most once in ten seconds. */
function Announcer(): JSX.Element {
  const overview = topic<Overview>('overview').value.data;
  const [said, say] = useState('');
  const last = useRef({ at: 0, level: '' });
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const level = overview?.status.level ?? '';
  const sentence = overview?.status.sentence ?? '';
  const latest = useRef({ level, sentence });
  latest.current = { level, sentence };
  useEffect(() => {
    if (!level || level === last.current.level) return;
    const speak = () => {
      timer.current = undefined;
      if (latest.current.level === last.current.level) return;
      last.current = { at: Date.now(), level: latest.current.level };
      say(latest.current.sentence);
    };
    const wait = last.current.at + 10_000 - Date.now();
    clearTimeout(timer.current);
    if (wait <= 0) speak();
    else timer.current = setTimeout(speak, wait);
  }, [level]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <div class="hidden" aria-live="polite" id="announcer">
      {said}
    </div>
  );
}

function useKeys() {
  useEffect(() => {
    let leader = 0;
    const onKey = (e: KeyboardEvent) => {
      const target = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable || document.querySelector('dialog[open]')) return;
      if (leader && Date.now() - leader < 1500) {
        leader = 0;
        const screen = SCREENS.find((s) => s.key === e.key);
        if (screen) {
          e.preventDefault();
          go(link(screen.id));
          return;
        }
      }
      leader = 0;
      if (e.key === 'g') leader = Date.now();
      else if (e.key === '/') {
        e.preventDefault();
        searching.value = true;
      } else if (e.key === '?') helping.value = true;
      else if (e.key === 'p') togglePause(Date.now());
      else if (e.key === 't') {
        e.preventDefault();
        typing.value = true;
      }
      else if (e.key === 'd') nextTheme();
      else if (/^[1-7]$/.test(e.key)) setRange({ live: true, seconds: WINDOWS[Number(e.key) - 1]!.seconds });
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

