using System.Text.Json.Nodes;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using YamlDotNet.Core;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What the webhooks rest on in a cluster: Namespaces and Events of the API server, what was installed (ConfigMap <c>mesh-config</c>), and a certificate of our own issuer.</summary>
internal sealed partial class ClusterInjection : IAsyncDisposable
{
    private const string ValuesKey = "values.yaml";
    private readonly ClusterSettings _settings;
    private readonly MeshControlPlaneOptions _options;
    private readonly WatchedObjects _config;
    private readonly KubeEvents _events;
    private readonly ILogger<ClusterInjection> _logger;
    private volatile InjectionValues _values;

    public ClusterInjection(ClusterSettings settings, MeshControlPlaneOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        (_settings, _options, _logger) = (settings, options, loggers.CreateLogger<ClusterInjection>());
        _values = Installed([]);
        _events = new KubeEvents(settings.Api, settings.Pod, time, loggers.CreateLogger<KubeEvents>());
        _config = new WatchedObjects(
            settings.Api, ClusterNames.One(ClusterNames.ConfigMaps(settings.Namespace), InstallManifest.ConfigMap), time, new Random(), loggers.CreateLogger<WatchedObjects>());
        _config.Subscribe(Read);
        _config.Start();
    }

    /// <summary>Ends when it is known what was installed: no pod is judged before.</summary>
    public Task Ready => _config.Synced;

    public InjectorParts Parts(WebhookCertificate certificate) => new(new KubeNamespaces(_settings.Api), () => _values, _events, certificate);

    public async ValueTask DisposeAsync()
    {
        await _config.DisposeAsync();
        await _events.DisposeAsync();
    }

    private void Read()
    {
        // Whoever installs with other tools may have no such ConfigMap: then defaults hold.
        var text = _config.Items.Values.FirstOrDefault()?["data"]?[ValuesKey]?.GetValue<string>() ?? string.Empty;
        var problems = new List<string>();
        try
        {
            _values = Installed(YamlJson.Parse(text) is [var values, ..] ? values : [], problems);
        }
        catch (YamlException e)
        {
            problems.Add(e.Message);
        }

        if (problems.Count > 0)
        {
            Log.ValuesDoubtful(_logger, _settings.Namespace, InstallManifest.ConfigMap, string.Join(' ', problems));
        }
    }

    /// <summary>What this control plane goes by itself counts before what stands there.</summary>
    private InjectionValues Installed(JsonObject values, List<string>? problems = null) => InjectionValues.Read(values, problems ?? []) with
    {
        ControlPlaneNamespace = _settings.Namespace,
        TrustDomain = _options.TrustDomain,
        ClusterDomain = _options.ClusterDomain,
    };

    private static partial class Log
    {
        [LoggerMessage(4920, LogLevel.Warning, "Not all of ConfigMap {Namespace}/{Name} can be used for pods, and what can't is left out: {Problems}", EventName = nameof(ValuesDoubtful))]
        public static partial void ValuesDoubtful(ILogger logger, string @namespace, string name, string problems);
    }
}
