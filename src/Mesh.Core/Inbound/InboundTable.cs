using System.Net;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Resilience;
using Microsoft.Extensions.Logging;

namespace Mesh.Inbound;

/// <summary>The addresses this process serves, each with the policy that the control plane gave it.</summary>
/// <remarks>Thread-safe. A connection holds its <see cref="InboundAddress"/>, so that a request looks nothing up.</remarks>
/// <param name="listenerPrefix">What stands before the address in the listener's name.</param>
/// <param name="narrow">What the operator allows at most.</param>
/// <param name="keys">Of tokens; without it none is believed.</param>
/// <param name="unlisted">Who is let in where no listener says so; null is <see cref="Unlisted.Allow"/>.</param>
internal sealed partial class InboundTable(
    IConfigSource source, string listenerPrefix, ServerLimits narrow, TimeProvider time, ILogger<InboundTable> logger, JwksStore? keys = null, Unlisted? unlisted = null) : IDisposable
{
    // One for all ports: the operator speaks of the process.
    private readonly ConcurrencyGate? _own = narrow.Own is { } own ? new ConcurrencyGate(own, time) : null;
    private readonly Lock _lock = new();
    private readonly Unlisted _unlisted = unlisted ?? Unlisted.Allow;
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private IDisposable? _subscription;

    /// <summary>Of what has no address to be listed by (Unix sockets): nothing is refused, and only the operator limits.</summary>
    public InboundPolicy Undescribed => field ??= Own(InboundLimiter.From(null, _own, new LimitStates([], narrow, time)));

    /// <summary>Of addresses that no listener describes: as <see cref="Undescribed"/>, with who is let in by the operator's word.</summary>
    private InboundPolicy OfUnlisted => field ??= Undescribed with { MeshAuthorizer = Authorizer.From(_unlisted.Filter), OtherAuthorizer = Authorizer.From(_unlisted.Filter) };

    /// <summary>Those that are open now.</summary>
    public IReadOnlyList<InboundAddress> Addresses
    {
        get
        {
            lock (_lock)
            {
                return [.. _entries.Values.Select(e => e.Address)];
            }
        }
    }

    /// <summary>Asks for the policy of a bound address; it arrives later.</summary>
    public InboundAddress Open(IPEndPoint bound)
    {
        var name = listenerPrefix + bound;
        InboundAddress address;
        bool subscribe;
        lock (_lock)
        {
            if (_entries.TryGetValue(name, out var known))
            {
                known.Uses++;
                return known.Address;
            }

            address = new InboundAddress(bound.ToString());
            _entries.Add(name, new Entry(address, bound.Port));
            subscribe = _subscription is null;
        }

        if (subscribe)
        {
            var subscription = source.Snapshots.Subscribe(_ => Compile());
            if (Interlocked.CompareExchange(ref _subscription, subscription, null) is not null)
            {
                subscription.Dispose();
            }
        }

        source.Watch(name);
        Compile();
        return address;
    }

    /// <summary>The address is bound no more.</summary>
    public void Close(InboundAddress address)
    {
        var name = listenerPrefix + address.Name;
        lock (_lock)
        {
            if (!_entries.TryGetValue(name, out var entry) || --entry.Uses > 0)
            {
                return;
            }

            _entries.Remove(name);
        }

        source.Unwatch(name);
    }

    /// <inheritdoc/>
    public void Dispose() => _subscription?.Dispose();

    private void Compile()
    {
        List<string>? unlistedNow = null;
        List<InboundAddress>? changed = null;
        lock (_lock)
        {
            // Read here, so that of two notices at once the newer snapshot wins.
            var snapshot = source.Snapshots.Current;
            foreach (var (name, entry) in _entries)
            {
                switch (snapshot.Listeners.GetValueOrDefault(name))
                {
                    case ListenerResult.Found found when !ReferenceEquals(entry.Compiled, found.Listener):
                        entry.Compiled = found.Listener;
                        entry.Address.Publish(InboundPolicy.From(found.Listener, _own, States(entry.Port), keys, time));
                        (changed ??= []).Add(entry.Address);
                        break;
                    case ListenerResult.DoesNotExist:
                        if (!ReferenceEquals(entry.Address.Policy, OfUnlisted))
                        {
                            entry.Compiled = null;
                            entry.Address.Publish(OfUnlisted);
                            (changed ??= []).Add(entry.Address);
                        }

                        if (!entry.ToldUnlisted)
                        {
                            entry.ToldUnlisted = true;
                            (unlistedNow ??= []).Add(entry.Address.Name);
                        }

                        break;
                    default:
                        // No answer yet, or no valid one: what was in force stays.
                        break;
                }
            }
        }

        foreach (var address in unlistedNow ?? [])
        {
            Log.AddressUnlisted(logger, address, _unlisted.Effect, _unlisted.Word);
        }

        foreach (var address in changed ?? [])
        {
            address.Tell();
        }
    }

    /// <summary>Addresses of one port share what they count: <c>localhost</c> is two of them and one server.</summary>
    private LimitStates States(int port) =>
        new([.. _entries.Values.Where(e => e.Port == port).Select(e => e.Address.Policy?.States).OfType<LimitStates>()], narrow, time);

    private static InboundPolicy Own(InboundLimiter? limits) => InboundPolicy.Permissive with { MeshLimits = limits, OtherLimits = limits };

    private sealed class Entry(InboundAddress address, int port)
    {
        public InboundAddress Address => address;

        public int Port => port;

        public int Uses { get; set; } = 1;

        public Listener? Compiled { get; set; }

        public bool ToldUnlisted { get; set; }
    }
}
