using System.Collections;
using System.Globalization;
using System.Net;
using Mesh.Hosting;
using Mesh.Transparent.Admin;
using Microsoft.Extensions.Configuration;

namespace Mesh.Transparent;

/// <summary>Reads the <c>MESH_*</c> environment: the proxy's own settings, and those that it shares with the libraries.</summary>
/// <remarks>All that is wrong is said at once, in the environment's words. A name that means nothing is a warning: it may be of a newer version.</remarks>
internal static class SidecarOptionsReader
{
    /// <summary>Ports that are waited for: each is one name asked of the control plane.</summary>
    private const int MostInboundPorts = 256;

    private static readonly TimeSpan LongestDrain = TimeSpan.FromDays(1);

    /// <exception cref="MeshConfigurationException">Anything is missing or wrong.</exception>
    public static SidecarSettings Read() => Read(Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(e => new KeyValuePair<string, string?>((string)e.Key, e.Value as string)));

    /// <inheritdoc cref="Read()"/>
    public static SidecarSettings Read(IEnumerable<KeyValuePair<string, string?>> environment)
    {
        var (own, shared) = (new Dictionary<string, string>(StringComparer.Ordinal), new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase));
        var (problems, warnings) = (new List<string>(), new List<string>());
        foreach (var (name, value) in environment.OrderBy(e => e.Key, StringComparer.Ordinal))
        {
            Sort(name, value?.Trim() ?? string.Empty, own, shared, problems, warnings);
        }

        var options = ReadOwn(own, problems);
        CheckListeners(options, problems, warnings);
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(shared).Build();
        problems.AddRange(SharedProblems(configuration).Select(SettingNames.InWordsOfTheEnvironment));
        return problems.Count == 0 ? new SidecarSettings(options, configuration, warnings) : throw new MeshConfigurationException(problems);
    }

    private static void Sort(
        string name, string value, Dictionary<string, string> own, Dictionary<string, string?> shared, List<string> problems, List<string> warnings)
    {
        if (name == "SPIFFE_ENDPOINT_SOCKET")
        {
            // Not ours by name; the libraries' reader goes by it.
            shared[name] = value;
        }
        else if (!name.StartsWith(SettingNames.Prefix, StringComparison.Ordinal) || name.StartsWith(SettingNames.TestPrefix, StringComparison.Ordinal))
        {
            // Somebody else's.
        }
        else if (SettingNames.IsServiceLink(name, value))
        {
            // Kubernetes' own.
        }
        else if (value.Length == 0)
        {
            // An empty value is how a manifest leaves a setting out.
        }
        else if (Array.IndexOf(SettingNames.Own, name) >= 0)
        {
            own[name] = value;
        }
        else if (SettingNames.PathOf(name) is { } path)
        {
            var key = $"{MeshOptions.SectionName}:{path}";
            if (!IsTime(path))
            {
                shared[key] = value;
            }
            else if (TryReadTime(value, out var time))
            {
                shared[key] = time.ToString("c", CultureInfo.InvariantCulture);
            }
            else
            {
                problems.Add(NoTime(name, value));
            }
        }
        else
        {
            warnings.Add(SettingNames.Nearest(name) is { } meant
                ? $"{name} is no setting of this version and has no effect. Is {meant} meant?"
                : $"{name} is no setting of this version and has no effect. Remove it.");
        }
    }

    private static SidecarOptions ReadOwn(Dictionary<string, string> own, List<string> problems)
    {
        var options = new SidecarOptions();
        return options with
        {
            OutboundListen = Listen("MESH_OUTBOUND_LISTEN", "127.0.0.1:4140,[::1]:4140") ?? options.OutboundListen,
            InboundListen = Listen("MESH_INBOUND_LISTEN", "[::]:4143") ?? options.InboundListen,
            AdminListen = Listen("MESH_ADMIN_LISTEN", "[::]:4191") ?? options.AdminListen,
            InstanceIps = Addresses("MESH_INSTANCE_IPS") ?? options.InstanceIps,
            InboundPorts = InboundPorts() ?? options.InboundPorts,
            OpaquePorts = Ports("MESH_OPAQUE_PORTS", mayBeNone: true) ?? options.OpaquePorts,
            SkipInboundPorts = Ports("MESH_SKIP_INBOUND_PORTS", mayBeNone: true) ?? options.SkipInboundPorts,
            Egress = Word("MESH_EGRESS", ("allow", EgressMode.Allow), ("deny", EgressMode.Deny)) ?? options.Egress,
            AccessLog = Word("MESH_ACCESS_LOG", ("off", MeshAccessLog.Off), ("json", MeshAccessLog.Json), ("apache", MeshAccessLog.Apache)) ?? options.AccessLog,
            DrainTimeout = Drain() ?? options.DrainTimeout,
            LogLevel = Filters() ?? options.LogLevel,
            LogFormat = Word("MESH_LOG_FORMAT", ("plain", LogFormat.Plain), ("json", LogFormat.Json)) ?? options.LogFormat,
        };

        List<IPEndPoint>? Listen(string name, string example)
        {
            if (!own.TryGetValue(name, out var text))
            {
                return null;
            }

            var all = new List<IPEndPoint>();
            foreach (var part in Parts(text))
            {
                if (TryReadEndPoint(part, out var endPoint) && !all.Contains(endPoint))
                {
                    all.Add(endPoint);
                }
                else
                {
                    problems.Add($"{name} holds '{part}'. Use addresses with ports, each once, IPv6 in brackets, such as {example}.");
                }
            }

            return NotEmpty(name, all, text, example);
        }

        List<IPAddress>? Addresses(string name)
        {
            if (!own.TryGetValue(name, out var text))
            {
                return null;
            }

            var all = new List<IPAddress>();
            foreach (var part in Parts(text))
            {
                // IPAddress.TryParse also takes 10.1 and 0x0a000001.
                if (IPAddress.TryParse(part, out var address) && (part.Contains(':', StringComparison.Ordinal) || part.Count(c => c == '.') == 3) && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any))
                {
                    all.Add(address);
                }
                else
                {
                    problems.Add($"{name} holds '{part}'. Use the addresses by which others call this workload, such as 10.1.2.3,fd00::3.");
                }
            }

            return NotEmpty(name, all, text, "10.1.2.3");
        }

        List<T> NotEmpty<T>(string name, List<T> all, string text, string example)
        {
            if (Parts(text).Length == 0)
            {
                problems.Add($"{name} is '{text}'. Use values such as {example}, or leave it out.");
            }

            return all;
        }

        PortList? Ports(string name, bool mayBeNone)
        {
            if (!own.TryGetValue(name, out var text))
            {
                return null;
            }

            if (mayBeNone && text.Equals("none", StringComparison.OrdinalIgnoreCase))
            {
                return PortList.Empty;
            }

            if (PortList.TryParse(text, out var ports, out var wrong))
            {
                return ports;
            }

            problems.Add($"{name} holds '{wrong}'. Use ports and ranges, 1–65535, such as 25,8000-8010{(mayBeNone ? ", or none" : string.Empty)}.");
            return null;
        }

        PortList? InboundPorts()
        {
            var ports = Ports("MESH_INBOUND_PORTS", mayBeNone: true);
            if (ports?.Count > MostInboundPorts)
            {
                problems.Add($"MESH_INBOUND_PORTS names {ports.Count} ports. Name the ports the app listens on, at most {MostInboundPorts}.");
            }

            return ports;
        }

        TimeSpan? Drain()
        {
            if (!own.TryGetValue("MESH_DRAIN_TIMEOUT", out var text))
            {
                return null;
            }

            if (!TryReadTime(text, out var time))
            {
                problems.Add(NoTime("MESH_DRAIN_TIMEOUT", text));
            }
            else if (time < TimeSpan.Zero || time > LongestDrain)
            {
                problems.Add($"MESH_DRAIN_TIMEOUT is '{text}'. Use 0s to 24h.");
            }

            return time;
        }

        LogFilters? Filters()
        {
            if (!own.TryGetValue("MESH_LOG_LEVEL", out var text))
            {
                return null;
            }

            if (!LogFilters.TryParse(text, out var filters, out var problem))
            {
                problems.Add($"MESH_LOG_LEVEL: {problem}");
            }

            return filters;
        }

        T? Word<T>(string name, params (string Word, T Value)[] words)
            where T : struct
        {
            if (!own.TryGetValue(name, out var text))
            {
                return null;
            }

            foreach (var (word, value) in words)
            {
                if (text.Equals(word, StringComparison.OrdinalIgnoreCase))
                {
                    return value;
                }
            }

            problems.Add($"{name} is '{text}'. Use {string.Join(", ", words[..^1].Select(w => w.Word))} or {words[^1].Word}.");
            return null;
        }
    }

    private static void CheckListeners(SidecarOptions options, List<string> problems, List<string> warnings)
    {
        (string Name, IPEndPoint At)[] all =
        [
            .. options.OutboundListen.Select(e => ("MESH_OUTBOUND_LISTEN", e)), .. options.InboundListen.Select(e => ("MESH_INBOUND_LISTEN", e)),
            .. options.AdminListen.Select(e => ("MESH_ADMIN_LISTEN", e)),
        ];
        for (var i = 0; i < all.Length; i++)
        {
            for (var j = i + 1; j < all.Length; j++)
            {
                if (all[i].Name != all[j].Name && all[i].At.Port == all[j].At.Port && all[i].At.Port != 0)
                {
                    problems.Add($"{all[i].Name} and {all[j].Name} both use port {all[i].At.Port}. Give each a port of its own.");
                }
            }
        }

        warnings.AddRange(options.OutboundListen.Where(e => !IPAddress.IsLoopback(e.Address)).Select(e =>
            $"MESH_OUTBOUND_LISTEN holds {e}, which is not loopback: whoever reaches it calls others under this workload's identity. Use 127.0.0.1 and [::1]."));
        warnings.AddRange(options.InboundPorts.Where(options.SkipInboundPorts.Contains).Select(p =>
            $"Port {p} is in MESH_INBOUND_PORTS and MESH_SKIP_INBOUND_PORTS: the mesh leaves it alone, and no policy holds there."));
    }

    private static IReadOnlyList<string> SharedProblems(IConfiguration configuration)
    {
        var options = new MeshOptions();
        try
        {
            new MeshOptionsSetup(configuration).Configure(options);
        }
        catch (MeshConfigurationException e)
        {
            // What could not be read stays at its default, which is valid; what was read before is still worth a look.
            return [.. e.Problems, .. MeshOptionsValidator.Problems(options, isEmbedded: false)];
        }

        return MeshActivation.From(options).IsOn
            ? MeshOptionsValidator.Problems(options, isEmbedded: false)
            : ["Mesh:ControlPlane is not set: a proxy without a control plane keeps no policy. Give it, such as https://mesh-control-plane.mesh-system.svc:15012, and Mesh:TrustBundle and Mesh:TokenFile."];
    }

    private static bool IsTime(string path) => path.EndsWith("Timeout", StringComparison.OrdinalIgnoreCase) || path.EndsWith("Interval", StringComparison.OrdinalIgnoreCase)
        || path.EndsWith(nameof(MeshTracesOptions.SlowerThan), StringComparison.OrdinalIgnoreCase);

    private static string NoTime(string name, string value) => $"{name} is '{value}'. Use a number with ms, s, m or h, or hours:minutes:seconds, such as 120s, 2m or 00:02:00.";

    /// <summary><c>120s</c>, <c>1.5m</c>, <c>250ms</c>, <c>1h</c>, <c>00:02:00</c>. A bare number is refused: .NET reads it as days.</summary>
    internal static bool TryReadTime(string text, out TimeSpan time)
    {
        if (text.Contains(':', StringComparison.Ordinal))
        {
            return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out time);
        }

        time = default;
        var digits = text.AsSpan().TrimEnd("abcdefghijklmnopqrstuvwxyz");
        var seconds = text.AsSpan(digits.Length) switch
        {
            "ms" => 0.001,
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => 0d,
        };
        if (seconds == 0 || !double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count) || count * seconds > TimeSpan.MaxValue.TotalSeconds / 2)
        {
            return false;
        }

        time = TimeSpan.FromSeconds(count * seconds);
        return true;
    }

    /// <summary>With a port, which IPEndPoint.TryParse does not insist on.</summary>
    private static bool TryReadEndPoint(string text, out IPEndPoint endPoint)
    {
        endPoint = new IPEndPoint(IPAddress.None, 0);
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            return false;
        }

        var host = text[..colon];
        var isBracketed = host.StartsWith('[') && host.EndsWith(']');
        if (!IPAddress.TryParse(isBracketed ? host[1..^1] : host, out var address) || isBracketed != host.Contains(':', StringComparison.Ordinal)
            || (!isBracketed && host.Count(c => c == '.') != 3))
        {
            return false;
        }

        endPoint = new IPEndPoint(address, port);
        return true;
    }

    private static string[] Parts(string text) => text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
