using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Server.Listening;
using Mesh.Traffic;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Mesh.Server;

/// <summary>What the listeners, the second server and the middleware share: who we are, what is accepted where, and whether we serve at all.</summary>
/// <remarks>Thread-safe.</remarks>
/// <param name="services">Asked late: building a host must not fail over settings that only starting it needs.</param>
internal sealed class MeshGate(IServiceProvider services)
{
    /// <summary>How long a connection or request waits for identity and policy (contracts §5).</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource<IServerAddressesFeature?> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lazy<MeshServerOptions> _options = new(() => services.GetRequiredService<IOptions<MeshOptions>>().Value.Server);
    private HashSet<string>? _probePaths;
    private volatile bool _isServing;
    private volatile bool _isStopping;

    /// <summary>Connections of any protocol are taken over mesh TLS, and requests are given on: we are a sidecar and not the app itself.</summary>
    public bool TakesTcp { get; init; }

    public bool IsOn => services.GetRequiredService<MeshActivation>().IsOn;

    /// <summary>Kestrel serves and we stand in front of it.</summary>
    public bool IsServing => _isServing;

    /// <summary>The whole server stops; else one endpoint is rebound.</summary>
    public bool IsStopping => _isStopping;

    /// <summary>Ends when the mesh connections have drained.</summary>
    public Task Drained => _drained.Task;

    public IWorkloadIdentitySource Identity => field ??= services.GetRequiredService<IWorkloadIdentitySource>();

    public InboundTable Table => field ??= services.GetRequiredService<InboundTable>();

    public TimeProvider Time => field ??= services.GetRequiredService<TimeProvider>();

#pragma warning disable RS0030 // The one that is thread-safe; whoever uses it takes a Random.
    public Random Chance { get; } = Random.Shared;
#pragma warning restore RS0030

    public VirtualListener MeshConnections { get; } = new();

    public IList<int> ExcludedPorts => _options.Value.ExcludedPorts;

    public bool ExplainsDenials => _options.Value.ExplainDenials;

    public JudgedConnections Connections => field ??= services.GetRequiredService<JudgedConnections>();

    public CountedConnections Counted => field ??= services.GetRequiredService<CountedConnections>();

    /// <summary>Null goes by the policies of the port.</summary>
    public MeshAmbiguousRequests? AmbiguousPaths => _options.Value.AmbiguousPaths;

    public AddressRanges TrustedProxies => field ??= AddressRanges.Of(_options.Value.TrustedProxies);

    public bool ReportsLoadToAll => _options.Value.ReportLoadToAll;

    public bool IsProbe(PathString path) => path.Value is { } value && (_probePaths ??= new(_options.Value.ProbePaths, StringComparer.Ordinal)).Contains(value);

    public void Open() => _isServing = true;

    public void Started(IServerAddressesFeature? addresses) => _started.TrySetResult(addresses);

    public void Stopping() => _isStopping = true;

    public void Stopped() => _drained.TrySetResult();

    /// <summary>Whether the app ends TLS itself on this port.</summary>
    public async ValueTask<bool> AppEndsTlsAsync(int port, CancellationToken cancellationToken)
    {
        var addresses = await _started.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        foreach (var address in addresses?.Addresses ?? [])
        {
            if (address.StartsWith("https://", StringComparison.OrdinalIgnoreCase) && BindingAddress.Parse(address).Port == port)
            {
                return true;
            }
        }

        return false;
    }
}
