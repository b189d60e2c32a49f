using Mesh.Export;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Traffic;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Refuses half a configuration: all problems at once, each with its fix.</summary>
/// <param name="embedded">The control plane inside this process: then nothing is needed to reach one.</param>
/// <param name="others">What edges find wrong with settings of their own.</param>
internal sealed class MeshOptionsValidator(IEmbeddedControlPlane? embedded = null, IEnumerable<IOptionsProblems>? others = null) : IValidateOptions<MeshOptions>
{
    /// <exception cref="MeshConfigurationException">Anything is missing or wrong. Thrown rather than returned, so that it reaches the operator under its own name.</exception>
    public ValidateOptionsResult Validate(string? name, MeshOptions options)
    {
        IReadOnlyList<string> problems = Problems(options, embedded is not null);
        if (embedded is not null || MeshActivation.From(options).IsOn)
        {
            problems = [.. problems, .. (others ?? []).SelectMany(o => o.Find())];
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : throw new MeshConfigurationException(problems);
    }

    public static IReadOnlyList<string> Problems(MeshOptions options, bool isEmbedded)
    {
        var problems = new List<string>();
        if (!isEmbedded && !MeshActivation.From(options).IsOn)
        {
            // Off: nothing of it is used, so nothing of it can be wrong.
            return problems;
        }

        var domainIsValid = TrustDomain.TryParse(options.TrustDomain, out var trustDomain, out var error);
        if (!domainIsValid)
        {
            problems.Add($"Mesh:TrustDomain: {error}");
        }
        else
        {
            CheckIdentity(options, trustDomain, problems);
        }

        if (isEmbedded)
        {
            CheckNotGiven(options, problems);
        }
        else
        {
            CheckReach(options, trustDomain, problems);
        }

        if (options.TelemetryInterval < TimeSpan.FromSeconds(1) || options.TelemetryInterval > TimeSpan.FromMinutes(5))
        {
            problems.Add($"Mesh:TelemetryInterval is {options.TelemetryInterval}. Use 00:00:01 to 00:05:00.");
        }

        if (options.MetricsListen is { } listen && !MetricsListener.TryParse(listen, out _))
        {
            problems.Add($"Mesh:MetricsListen is '{listen}'. Use a port such as 9464, or an address with one such as 127.0.0.1:9464.");
        }

        if (string.IsNullOrWhiteSpace(options.ClusterDomain) || Uri.CheckHostName(options.ClusterDomain) != UriHostNameType.Dns)
        {
            problems.Add($"Mesh:ClusterDomain is '{options.ClusterDomain}'. Use a DNS suffix such as cluster.local.");
        }

        if (options.Workload is { } workload && (workload.Length == 0 || workload.Contains('~', StringComparison.Ordinal)))
        {
            problems.Add($"Mesh:Workload is '{workload}'. Use a name without '~', or leave it out to use the service account.");
        }

        problems.AddRange(options.Clients.SelectMany(c => MeshCallOptionsReader.Problems(c.Value, $"Mesh:Clients:{c.Key}:")));
        problems.AddRange(options.Services.SelectMany(s => MeshCallOptionsReader.Problems(s.Value, $"Mesh:Services:{s.Key}:")));
        problems.AddRange(options.Server.ProbePaths.Where(p => !p.StartsWith('/')).Select(p => $"Mesh:Server:ProbePaths holds '{p}'. Start every path with '/'."));
        problems.AddRange(options.Server.ExcludedPorts.Where(p => p is < 1 or > 65535).Select(p => $"Mesh:Server:ExcludedPorts holds {p}. Use port numbers, 1–65535."));
        CheckLimits(options.Server, problems);
        if (options.Traces.Ratio is not (null or (>= 0 and <= 1)))
        {
            problems.Add($"Mesh:Traces:Ratio is {options.Traces.Ratio}. Use a share from 0 to 1, such as 0.01.");
        }

        if (options.Traces.SlowerThan < TimeSpan.Zero)
        {
            problems.Add($"Mesh:Traces:SlowerThan is {options.Traces.SlowerThan}. Use zero (never) or more.");
        }

        CheckNetworks(options.Server.TrustedProxies, "Mesh:Server:TrustedProxies", problems);
        CheckNetworks(options.Jwks.AllowedNetworks, "Mesh:Jwks:AllowedNetworks", problems);
        return problems;
    }

    private static void CheckNetworks(IEnumerable<string> networks, string where, List<string> problems) => problems.AddRange(
        networks.Where(n => !AddressRanges.TryParse(n, out _)).Select(n => $"{where} holds '{n}'. Use networks such as 10.0.0.0/8, or addresses."));

    private static void CheckLimits(MeshServerOptions server, List<string> problems)
    {
        if (server.MaxConcurrentRequests < 1)
        {
            problems.Add($"Mesh:Server:MaxConcurrentRequests is {server.MaxConcurrentRequests}. Use 1 or more, or leave it out for no limit.");
        }

        if (server.MaxQueuedRequests < 0)
        {
            problems.Add($"Mesh:Server:MaxQueuedRequests is {server.MaxQueuedRequests}. Use 0 or more, or leave it out.");
        }

        if (server.QueueTimeout <= TimeSpan.Zero || server.QueueTimeout > TimeSpan.FromMinutes(10))
        {
            problems.Add($"Mesh:Server:QueueTimeout is {server.QueueTimeout}. Use more than zero and at most 00:10:00.");
        }
    }

    private static void CheckReach(MeshOptions options, TrustDomain trustDomain, List<string> problems)
    {
        CheckAddress(options.ControlPlane, problems);
        var needsBundle = !IsSet(options.WorkloadApi) || IsSet(options.CertificateFile);
        if (!IsSet(options.TrustBundle) && !needsBundle)
        {
            // The Workload API says who vouches for the control plane, too.
        }
        else if (!IsSet(options.TrustBundle))
        {
            problems.Add("Mesh:TrustBundle is not set. Give the path of the PEM file with the control plane's root certificate (trust_bundle in its ready line).");
        }
        else if (!TrustBundleFile.TryRead(options.TrustBundle, trustDomain, out _, out var unreadable))
        {
            problems.Add($"Mesh:TrustBundle: {unreadable}");
        }

        if (options.ControlPlaneName is { } name && Uri.CheckHostName(name) != UriHostNameType.Dns)
        {
            problems.Add($"Mesh:ControlPlaneName is '{name}'. Use the DNS name in the control plane's certificate, or leave it out for mesh-control-plane.");
        }

        CheckSource(options, problems);
    }

    /// <summary>A setting that would be ignored is a mistake that somebody would look for.</summary>
    private static void CheckNotGiven(MeshOptions options, List<string> problems)
    {
        foreach (var (key, value) in new[]
        {
            (nameof(options.ControlPlane), options.ControlPlane), (nameof(options.TrustBundle), options.TrustBundle),
            (nameof(options.Token), options.Token), (nameof(options.TokenFile), options.TokenFile),
            (nameof(options.ControlPlaneName), options.ControlPlaneName), (nameof(options.ClusterId), options.ClusterId),
            (nameof(options.CertificateFile), options.CertificateFile), (nameof(options.KeyFile), options.KeyFile), (nameof(options.WorkloadApi), options.WorkloadApi),
        })
        {
            if (!string.IsNullOrWhiteSpace(value))
            {
                problems.Add($"Mesh:{key} is set, but this process runs the control plane itself (AddMeshControlPlane) and takes everything from it in memory. Remove the setting, or the call.");
            }
        }
    }

    private static void CheckIdentity(MeshOptions options, TrustDomain trustDomain, List<string> problems)
    {
        foreach (var (key, value) in new[] { (nameof(options.Namespace), options.Namespace), (nameof(options.ServiceAccount), options.ServiceAccount) })
        {
            if (!SpiffeId.TryParse($"spiffe://{trustDomain}/{value}", out var id, out _) || id.Path.LastIndexOf('/') != 0)
            {
                problems.Add($"Mesh:{key} is '{value}'. Use a Kubernetes name: a–z, 0–9, '-' and '.'.");
            }
        }
    }

    private static void CheckAddress(string? address, List<string> problems)
    {
        if (string.IsNullOrWhiteSpace(address))
        {
            problems.Add("Mesh:ControlPlane is not set. Give the control plane's TLS gRPC address, such as https://127.0.0.1:15012 (grpc in its ready line).");
        }
        else if (!TryReadAddress(address, out _))
        {
            problems.Add($"Mesh:ControlPlane is '{address}'. Use https://host:port without a path, such as https://127.0.0.1:15012.");
        }
    }

    /// <summary>A bare <c>host:port</c>, as the control plane's ready line prints it, means https.</summary>
    public static bool TryReadAddress(string address, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Uri? uri)
    {
        var text = address.Contains("://", StringComparison.Ordinal) ? address : $"https://{address}";
        return Uri.TryCreate(text, UriKind.Absolute, out uri)
            && uri.Scheme == Uri.UriSchemeHttps && uri.Host.Length > 0 && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0 && uri.Fragment.Length == 0;
    }

    /// <summary>Certificates come from one source: of two, nobody could say which one is in force.</summary>
    private static void CheckSource(MeshOptions options, List<string> problems)
    {
        var (byToken, byFiles, byApi) = (IsSet(options.Token) || IsSet(options.TokenFile), IsSet(options.CertificateFile) || IsSet(options.KeyFile), IsSet(options.WorkloadApi));
        if (!byToken && !byFiles && !byApi)
        {
            problems.Add("Neither Mesh:Token nor Mesh:TokenFile is set. Give a join token for this namespace and service account, or another source of certificates: Mesh:CertificateFile and Mesh:KeyFile, or Mesh:WorkloadApi.");
        }

        if ((byToken ? 1 : 0) + (byFiles ? 1 : 0) + (byApi ? 1 : 0) > 1)
        {
            (string Name, string? Value)[] all =
            [
                (nameof(options.Token), options.Token), (nameof(options.TokenFile), options.TokenFile), (nameof(options.CertificateFile), options.CertificateFile),
                (nameof(options.KeyFile), options.KeyFile), (nameof(options.WorkloadApi), options.WorkloadApi),
            ];
            problems.Add($"{string.Join(", ", all.Where(o => IsSet(o.Value)).Select(o => $"Mesh:{o.Name}"))} are set together. Keep one source of certificates: a token, files, or a Workload API.");
        }

        CheckToken(options, problems);
        CheckFiles(options, problems);
        if (byApi && !WorkloadApiAddress.TryParse(options.WorkloadApi!, out _, out var problem))
        {
            problems.Add($"Mesh:WorkloadApi: {problem}");
        }

        if (options.ClusterId is { } cluster && (!byToken || !cluster.All(c => c is > ' ' and <= '~')))
        {
            problems.Add(byToken
                ? $"Mesh:ClusterId is '{cluster}'. Use printable ASCII without spaces."
                : "Mesh:ClusterId is set, but no certificate is asked for with a token. Remove it, or set Mesh:TokenFile.");
        }
    }

    private static void CheckFiles(MeshOptions options, List<string> problems)
    {
        foreach (var (key, file, other) in new[]
        {
            (nameof(options.CertificateFile), options.CertificateFile, options.KeyFile), (nameof(options.KeyFile), options.KeyFile, options.CertificateFile),
        })
        {
            if (!IsSet(file) && IsSet(other))
            {
                problems.Add($"Mesh:{key} is not set. Give both Mesh:CertificateFile and Mesh:KeyFile, or neither.");
            }
            else if (IsSet(file) && !File.Exists(file))
            {
                problems.Add($"Mesh:{key} '{file}' does not exist. Give the path of a PEM file.");
            }
        }
    }

    private static void CheckToken(MeshOptions options, List<string> problems)
    {
        if (IsSet(options.Token) && IsSet(options.TokenFile))
        {
            problems.Add("Mesh:Token and Mesh:TokenFile are both set. Keep one of them.");
        }
        else if (IsSet(options.TokenFile) && !File.Exists(options.TokenFile))
        {
            problems.Add($"Mesh:TokenFile '{options.TokenFile}' does not exist. Give the path of a file that holds the token.");
        }
    }

    private static bool IsSet([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] string? value) => !string.IsNullOrWhiteSpace(value);
}
