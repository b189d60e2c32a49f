using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>One thing that may be set of a sidecar: by an annotation <c>meshlib.io/&lt;name&gt;</c>, or for all pods by a value.</summary>
internal sealed class SidecarSetting
{
    private readonly Func<SidecarSettings, string, SidecarSettings?> _read;
    private readonly string _rule;
    private readonly Func<SidecarSettings, SidecarSettings> _closed;

    /// <param name="read">Null when the text is none of its values.</param>
    /// <param name="rule">What may be written.</param>
    /// <param name="closed">What counts when the text is wrong: by default what counts without it.</param>
    private SidecarSetting(string name, string rule, Func<SidecarSettings, string, SidecarSettings?> read, Func<SidecarSettings, SidecarSettings>? closed = null)
    {
        Name = name;
        _read = read;
        _rule = rule;
        _closed = closed ?? (s => s);
    }

    /// <summary>All of them, in the order of <see cref="Annotations.SidecarSettings"/>.</summary>
    public static IReadOnlyList<SidecarSetting> All { get; } =
    [
        Ports("opaque-ports", (s, p) => s with { OpaquePorts = p }),
        Ports("skip-inbound-ports", (s, p) => s with { SkipInboundPorts = p }),
        Ports("skip-outbound-ports", (s, p) => s with { SkipOutboundPorts = p }),
        new("skip-subnets", SettingText.SubnetsRule, (s, t) => SettingText.Subnets(t) is { } subnets ? s with { SkipSubnets = subnets } : null),
        Ports("pod-inbound-ports", (s, p) => s with { InboundPorts = p }),
        new("proxy-image", SettingText.ImageRule, (s, t) => SettingText.IsImage(t) ? s with { Image = t } : null),
        Word("image-pull-policy", (s, w) => s with { ImagePullPolicy = w }, "IfNotPresent", "Always", "Never"),
        new("proxy-uid", UserRule, (s, t) => Id(t) is { } id ? s with { Uid = id } : null),
        new("proxy-gid", UserRule, (s, t) => Id(t) is { } id ? s with { Gid = id } : null),
        Amount("proxy-cpu-request", (s, a) => s with { CpuRequest = a }),
        Amount("proxy-cpu-limit", (s, a) => s with { CpuLimit = a }),
        Amount("proxy-memory-request", (s, a) => s with { MemoryRequest = a }),
        Amount("proxy-memory-limit", (s, a) => s with { MemoryLimit = a }),
        Amount("proxy-ephemeral-storage-request", (s, a) => s with { EphemeralStorageRequest = a }),
        Amount("proxy-ephemeral-storage-limit", (s, a) => s with { EphemeralStorageLimit = a }),
        new("proxy-log-level", SettingText.LogLevelRule, (s, t) => SettingText.IsLogLevel(t) ? s with { LogLevel = t } : null),
        Word("proxy-log-format", (s, w) => s with { LogFormat = w }, "plain", "json"),
        Word("access-log", (s, w) => s with { AccessLog = w }, "off", "json", "apache"),
        Switch("traces", (s, on) => s with { Traces = on }),
        new("trace-ratio", SettingText.RatioRule, (s, t) => SettingText.Ratio(t) is { } ratio ? s with { TraceRatio = ratio } : null),
        // Whoever wrote something here wanted it closed, or would have left it out.
        Word("egress", (s, w) => s with { Egress = w }, s => s with { Egress = "deny" }, "allow", "deny"),
        Word("default-inbound", (s, w) => s with { DefaultInbound = w }, s => s with { DefaultInbound = "deny" }, "allow", "allow-authenticated", "deny"),
        new("shutdown-grace-period", SettingText.TimeRule, (s, t) => SettingText.Time(t) is { } time ? s with { DrainTimeout = Milliseconds(time) } : null),
        Switch("native-sidecar", (s, on) => s with { Order = on ? SidecarOrder.Native : SidecarOrder.Classic }),
        Word("init", (s, w) => s with { Redirection = w switch { "native" => Redirection.Sidecar, "none" => Redirection.Outside, _ => Redirection.Container } }, "container", "native", "none"),
        Word("init-backend", (s, w) => s with { RedirectionBackend = w }, "nft", "iptables-nft", "iptables-legacy"),
        Switch("proxy-await", (s, on) => s with { Await = on }),
        new("wait-before-exit", SettingText.TimeRule, (s, t) => SettingText.Time(t) is { } time ? s with { WaitBeforeExit = time } : null),
        Port("inbound-port", (s, p) => s with { InboundPort = p }),
        Port("outbound-port", (s, p) => s with { OutboundPort = p }),
        Port("admin-port", (s, p) => s with { AdminPort = p }),
        new("proxy-additional-env", AdditionalEnvironment.Rule, AdditionalEnvironment.Add),
    ];

    private static readonly FrozenDictionary<string, SidecarSetting> ByName = All.ToFrozenDictionary(s => s.Name, StringComparer.Ordinal);

    private const string UserRule = "Use the number of a user that is not root: 1-2147483647.";

    /// <summary>The annotation's name behind the domain.</summary>
    public string Name { get; }

    /// <summary>It also tells a program that is in the mesh by itself something.</summary>
    public bool IsForLibrary => Name.StartsWith("trace", StringComparison.Ordinal);

    public string Annotation => $"{Annotations.Domain}/{Name}";

    /// <summary>The name below <c>proxy</c> in the values of an installation: <c>proxy-log-level</c> is <c>logLevel</c>.</summary>
    public string ValueName
    {
        get
        {
            var words = (Name.StartsWith("proxy-", StringComparison.Ordinal) ? Name["proxy-".Length..] : Name).Split('-');
            return words[0] + string.Concat(words.Skip(1).Select(w => char.ToUpperInvariant(w[0]) + w[1..]));
        }
    }

    public static SidecarSetting? Find(string name) => ByName.GetValueOrDefault(name);

    /// <param name="problem">What is wrong and what may be written; null when nothing is.</param>
    public SidecarSettings Apply(SidecarSettings settings, string text, out string? problem)
    {
        var applied = _read(settings, text.Trim());
        problem = applied is null ? _rule : null;
        return applied ?? _closed(settings);
    }

    private static SidecarSetting Ports(string name, Func<SidecarSettings, string, SidecarSettings> set) =>
        new(name, SettingText.PortsRule, (s, t) => SettingText.Ports(t) is { } ports ? set(s, ports) : null);

    private static SidecarSetting Port(string name, Func<SidecarSettings, int, SidecarSettings> set) =>
        new(name, "Use a port, 1-65535.", (s, t) => SettingText.Port(t) is { } port ? set(s, port) : null);

    private static SidecarSetting Amount(string name, Func<SidecarSettings, string, SidecarSettings> set) =>
        new(name, Quantity.Rule, (s, t) => Quantity.TryParse(t, out _) ? set(s, t) : null);

    private static SidecarSetting Switch(string name, Func<SidecarSettings, bool, SidecarSettings> set) =>
        new(name, "Use enabled or disabled.", (s, t) => SettingText.Switch(t) is { } on ? set(s, on) : null);

    private static SidecarSetting Word(string name, Func<SidecarSettings, string, SidecarSettings> set, params string[] words) => Word(name, set, null, words);

    private static SidecarSetting Word(string name, Func<SidecarSettings, string, SidecarSettings> set, Func<SidecarSettings, SidecarSettings>? closed, params string[] words) =>
        new(name, $"Use {string.Join(", ", words[..^1])} or {words[^1]}.", (s, t) => words.FirstOrDefault(w => w.Equals(t, StringComparison.OrdinalIgnoreCase)) is { } word ? set(s, word) : null, closed);

    private static int? Id(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0 ? id : null;

    private static string Milliseconds(TimeSpan time) => time.TotalMilliseconds % 1000 == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds}s")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds}ms");
}

/// <summary>More of the sidecar's environment, as a JSON list of what a container's <c>env</c> holds.</summary>
internal static class AdditionalEnvironment
{
    public const string Rule = """Use a JSON list such as [{"name": "MESH_TELEMETRY_INTERVAL", "value": "10s"}], without names that the injector writes itself.""";

    private const int Most = 64;

    /// <summary>What the injector knows better: changed here, a sidecar would be somebody else's, or nobody's.</summary>
    private static readonly FrozenSet<string> Own = new[]
    {
        "MESH_CONTROL_PLANE", "MESH_CONTROL_PLANE_NAME", "MESH_TRUST_BUNDLE", "MESH_TOKEN", "MESH_TOKEN_FILE", "MESH_CERTIFICATE_FILE", "MESH_KEY_FILE", "MESH_WORKLOAD_API", "SPIFFE_ENDPOINT_SOCKET",
        "MESH_NAMESPACE", "MESH_SERVICE_ACCOUNT", "MESH_WORKLOAD", "MESH_TRUST_DOMAIN", "MESH_CLUSTER_DOMAIN", "MESH_INSTANCE_IPS", "MESH_INBOUND_PORTS", "MESH_SERVER__PROBE_PATHS",
        "MESH_OUTBOUND_LISTEN", "MESH_INBOUND_LISTEN", "MESH_ADMIN_LISTEN", "MESH_OPAQUE_PORTS", "MESH_SKIP_INBOUND_PORTS", "MESH_EGRESS", "MESH_ACCESS_LOG", "MESH_DRAIN_TIMEOUT",
        "MESH_LOG_LEVEL", "MESH_LOG_FORMAT", "MESH_SERVER__UNLISTED_ACCESS", "MESH_TRACES__ENABLED", "MESH_TRACES__RATIO",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Over what stands there by the same name.</summary>
    public static SidecarSettings? Add(SidecarSettings settings, string text)
    {
        if (JsonRead.Parse(text) is not JsonArray list || list.Count > Most)
        {
            return null;
        }

        var all = settings.AdditionalEnvironment.ToBuilder();
        foreach (var item in list)
        {
            if (item is not JsonObject variable || variable.Text("name") is not { Length: > 0 and <= 200 } name || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')
                || char.IsAsciiDigit(name[0]) || Own.Contains(name) || !HasOneValue(variable))
            {
                return null;
            }

            all[name] = variable;
        }

        return settings with { AdditionalEnvironment = all.ToImmutable() };
    }

    private static bool HasOneValue(JsonObject variable) => variable.Count == 2 && (variable.Text("value") is not null || variable.Object("valueFrom") is { Count: 1 });
}
