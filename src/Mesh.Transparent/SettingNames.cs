using System.Text;
using Mesh.Hosting;

namespace Mesh.Transparent;

/// <summary>Which names of the environment mean something to the proxy, and which of them is meant by a name of the configuration.</summary>
internal static class SettingNames
{
    public const string Prefix = "MESH_";

    /// <summary>For tests of whoever runs the proxy: nobody's setting.</summary>
    public const string TestPrefix = "MESH_TEST_";

    /// <summary>Of limits by called service: <c>MESH_SERVICES__CATALOG__TIMEOUT</c>.</summary>
    private const string Services = "MESH_SERVICES__";

    /// <summary>Of the proxy itself.</summary>
    public static readonly string[] Own =
    [
        "MESH_OUTBOUND_LISTEN", "MESH_INBOUND_LISTEN", "MESH_ADMIN_LISTEN", "MESH_INSTANCE_IPS", "MESH_INBOUND_PORTS", "MESH_OPAQUE_PORTS", "MESH_SKIP_INBOUND_PORTS",
        "MESH_EGRESS", "MESH_ACCESS_LOG", "MESH_DRAIN_TIMEOUT", "MESH_LOG_LEVEL", "MESH_LOG_FORMAT",
    ];

    /// <summary>Shared with the libraries, as paths below <c>Mesh</c>. Clients have no names here, so <c>Clients</c> is not among them.</summary>
    public static readonly string[] Shared =
    [
        nameof(MeshOptions.ControlPlane), nameof(MeshOptions.ControlPlaneName), nameof(MeshOptions.TrustBundle), nameof(MeshOptions.Token), nameof(MeshOptions.TokenFile),
        nameof(MeshOptions.ClusterId), nameof(MeshOptions.CertificateFile), nameof(MeshOptions.KeyFile), nameof(MeshOptions.WorkloadApi), nameof(MeshOptions.Namespace),
        nameof(MeshOptions.ServiceAccount), nameof(MeshOptions.Workload), nameof(MeshOptions.Region), nameof(MeshOptions.Zone), nameof(MeshOptions.TrustDomain),
        nameof(MeshOptions.ClusterDomain), nameof(MeshOptions.AdsVariant), nameof(MeshOptions.TelemetryInterval), nameof(MeshOptions.Metrics), nameof(MeshOptions.Tap),
        Server(nameof(MeshServerOptions.ProbePaths)), Server(nameof(MeshServerOptions.ExcludedPorts)), Server(nameof(MeshServerOptions.UnlistedAccess)),
        Server(nameof(MeshServerOptions.ExplainDenials)), Server(nameof(MeshServerOptions.ReportLoadToAll)), Server(nameof(MeshServerOptions.MaxConcurrentRequests)),
        Server(nameof(MeshServerOptions.MaxQueuedRequests)), Server(nameof(MeshServerOptions.QueueTimeout)), Server(nameof(MeshServerOptions.AmbiguousPaths)),
        Server(nameof(MeshServerOptions.TrustedProxies)),
        $"{nameof(MeshOptions.Jwks)}:{nameof(MeshJwksOptions.AllowHttp)}", $"{nameof(MeshOptions.Jwks)}:{nameof(MeshJwksOptions.AllowedNetworks)}",
        $"{nameof(MeshOptions.Traces)}:{nameof(MeshTracesOptions.Enabled)}", $"{nameof(MeshOptions.Traces)}:{nameof(MeshTracesOptions.Ratio)}",
        $"{nameof(MeshOptions.Traces)}:{nameof(MeshTracesOptions.Failed)}", $"{nameof(MeshOptions.Traces)}:{nameof(MeshTracesOptions.SlowerThan)}",
    ];

    private static readonly Dictionary<string, string> SharedByName = Shared.ToDictionary(Of, StringComparer.Ordinal);

    /// <summary><c>Server:ProbePaths</c> → <c>MESH_SERVER__PROBE_PATHS</c>.</summary>
    public static string Of(string path)
    {
        var name = new StringBuilder(Prefix);
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] == ':')
            {
                name.Append("__");
            }
            else
            {
                name.Append(i > 0 && char.IsAsciiLetterUpper(path[i]) && char.IsAsciiLetterLower(path[i - 1]) ? "_" : string.Empty).Append(char.ToUpperInvariant(path[i]));
            }
        }

        return name.ToString();
    }

    /// <summary>The path below <c>Mesh</c> that a name stands for; null for a name that is none of the shared settings.</summary>
    public static string? PathOf(string name)
    {
        if (SharedByName.TryGetValue(name, out var path))
        {
            return path;
        }

        // One item of a list: MESH_SERVER__PROBE_PATHS__0.
        var end = name.LastIndexOf("__", StringComparison.Ordinal);
        if (end > 0 && int.TryParse(name.AsSpan(end + 2), out var index) && SharedByName.TryGetValue(name[..end], out path))
        {
            return $"{path}:{index}";
        }

        // Names of services hold no underscore, and settings are read without regard to case.
        return name.StartsWith(Services, StringComparison.Ordinal) && name[Services.Length..].Split("__") is [{ Length: > 0 } service, { Length: > 0 } setting]
            ? $"{nameof(MeshOptions.Services)}:{service}:{setting.Replace("_", string.Empty, StringComparison.Ordinal)}"
            : null;
    }

    /// <summary>Kubernetes tells every container of the services beside it: one called <c>mesh-web</c> makes <c>MESH_WEB_PORT=tcp://…</c> and the like.</summary>
    public static bool IsServiceLink(string name, string value) =>
        name.EndsWith("_SERVICE_HOST", StringComparison.Ordinal)
        || name.EndsWith("_SERVICE_PORT", StringComparison.Ordinal) || name.Contains("_SERVICE_PORT_", StringComparison.Ordinal)
        || ((name.EndsWith("_PORT", StringComparison.Ordinal) || name.EndsWith("_TCP", StringComparison.Ordinal) || name.EndsWith("_UDP", StringComparison.Ordinal))
            && value.Contains("://", StringComparison.Ordinal))
        || name.Contains("_TCP_", StringComparison.Ordinal) || name.Contains("_UDP_", StringComparison.Ordinal);

    /// <summary>Says it in the environment's words: <c>Mesh:Server:ProbePaths</c> → <c>MESH_SERVER__PROBE_PATHS</c>.</summary>
    public static string InWordsOfTheEnvironment(string problem)
    {
        const string Section = MeshOptions.SectionName + ":";
        var said = new StringBuilder();
        var at = 0;
        for (int found; (found = problem.IndexOf(Section, at, StringComparison.Ordinal)) >= 0;)
        {
            var end = found + Section.Length;
            while (end < problem.Length && (char.IsAsciiLetterOrDigit(problem[end]) || problem[end] is '-' or '.'
                || (problem[end] == ':' && end + 1 < problem.Length && char.IsAsciiLetterOrDigit(problem[end + 1]))))
            {
                end++;
            }

            // A full stop ends the sentence, not the name.
            var path = problem[(found + Section.Length)..end].TrimEnd('.');
            said.Append(problem, at, found - at).Append(Of(path));
            at = found + Section.Length + path.Length;
        }

        return said.Append(problem, at, problem.Length - at).ToString();
    }

    /// <summary>The known name that was most likely meant; null when none is near.</summary>
    public static string? Nearest(string name)
    {
        var (best, least) = ((string?)null, Math.Max(2, name.Length / 5) + 1);
        foreach (var known in Own.Concat(SharedByName.Keys))
        {
            var distance = Distance(name, known);
            (best, least) = distance < least ? (known, distance) : (best, least);
        }

        return best;
    }

    private static string Server(string name) => $"{nameof(MeshOptions.Server)}:{name}";

    /// <summary>Levenshtein's: letters to change, add or take away.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var next = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                (diagonal, row[j]) = (row[j], next);
            }
        }

        return row[^1];
    }
}
