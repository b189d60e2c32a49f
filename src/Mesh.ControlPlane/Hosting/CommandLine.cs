using System.Globalization;
using System.Net;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests.Policies;

namespace Mesh.ControlPlane.Hosting;

/// <summary>The program's arguments.</summary>
internal static class CommandLine
{
    public const string Usage = """
        Runs a Mesh control plane.

          --config DIR             folder with the manifests; or, in its place,
          --kubernetes             the objects of a Kubernetes cluster: of the one that this pod is in, or
          --kubeconfig FILE  --context NAME
                                   of the one that a kubeconfig names (default: KUBECONFIG, else ~/.kube/config; its current context), or
          --api-server URL  --api-token-file FILE  --api-ca FILE
                                   of this API server, with the token and the roots in these files
          --system-namespace NAME  where replicas in a cluster keep what they share (default: the pod's own, else mesh-system)
          --replica-name NAME      of this one (default: the host name, which is its pod's)
          --issuer-secret NAME     a kubernetes.io/tls Secret there with an issuer signed elsewhere, and ca.crt (default: mesh-issuer, when it is there)
          --data DIR               the control plane's own files: root key, tokens, marks (default: mesh-data)
          --trust-domain NAME      default: cluster.local
          --cluster-domain NAME    default: cluster.local
          --address IP             where the gRPC and HTTP ports listen (default: 127.0.0.1; plaintext ADS stays on loopback)
          --port-base N            ADS on N, gRPC on N+2, HTTP on N+4, in a cluster webhooks on N+7; 0 is any free ones (default: 15010)
          --ads-port N  --grpc-port N  --http-port N  --webhook-port N
                                   one port each; 0 is any free one
          --http-host NAME,...     host names under which the HTTP port answers, beside loopback names, IP addresses and its Service's (default: none)
          --root-cert FILE  --root-key FILE
                                   a given root, PEM (default: an own one in the data folder)
          --issuer-cert FILE  --issuer-key FILE  --root-cert FILE
                                   an issuer signed elsewhere, PEM, and the root to trust; read again when they change
          --issuer DIR             the same as a Kubernetes TLS secret: tls.crt, tls.key, ca.crt
          --ca-key KIND            keys of the own authority: p256 or p384 (default: p256)
          --leaf-life TIME         life of workload certificates, such as 20s, 30m, 24h, 7d (default: 24h)
          --mtls MODE              permissive or strict, where no ServerPolicy says it (default: permissive)
          --access MODE            who may call where no policy says it: all-unauthenticated, all-authenticated, cluster-unauthenticated,
                                   cluster-authenticated, deny or audit (default: all-unauthenticated)
          --cluster-networks CIDR,...
                                   what cluster-... means (default: private, shared, unique local and loopback addresses)
          --telemetry-storage disk|memory
                                   where measurements are kept (default: disk, in a cluster memory)
          --telemetry-max-mb N     what they take at most (default: 256 on disk, 64 in memory)
          --telemetry-max-series N how many series are told apart (default: 20000)
          --prometheus URL  --prometheus-token-file FILE
                                   a Prometheus server that scrapes the workloads is asked in place of the embedded store
          --oidc-issuer URL  --oidc-audience NAME
                                   workloads may join with JWTs of this issuer, meant for this audience
          --oidc-jwks URL|FILE     its keys (default: as its discovery document says)
          --oidc-identity TEMPLATE claims that make the identity, such as ns/{team}/sa/{sub}
                                   (default: the subject is system:serviceaccount:NAMESPACE:NAME)
          --token-review URL|in-cluster
                                   workloads may join with Kubernetes service account tokens, reviewed there
          --token-review-audience NAME
                                   what these must be bound to (default: meshlib.io)
          --token-review-ca FILE  --token-review-token FILE
                                   roots of the API server, and the control plane's own token for it
          --otlp URL               an OpenTelemetry collector that all measurements and spans of the mesh are given on to;
                                   the control plane then traces itself, too
          --otlp-protocol KIND     grpc or http/protobuf (default: http/protobuf on port 4318 or with a path, else grpc)
          --otlp-headers NAME=VALUE,...
                                   sent to it, such as a key; values URL-encoded
          --help
        """;

    /// <returns>Null with every problem when the arguments can't be used.</returns>
    public static MeshControlPlaneOptions? Parse(IReadOnlyList<string> args, out IReadOnlyList<string> problems)
    {
        var options = new MeshControlPlaneOptions();
        var found = new List<string>();
        problems = found;
        int? portBase = null, ads = null, grpc = null, http = null, webhooks = null;
        for (var i = 0; i < args.Count; i++)
        {
            var flag = args[i];
            string? value = null;
            if (flag.IndexOf('=', StringComparison.Ordinal) is > 0 and var at)
            {
                (flag, value) = (flag[..at], flag[(at + 1)..]);
            }

            if (!Known.Contains(flag))
            {
                found.Add($"'{args[i]}' is not known. See --help.");
                continue;
            }

            if (flag == "--kubernetes")
            {
                options.Kubernetes = value is null or "true";
                if (value is not (null or "true" or "false"))
                {
                    found.Add($"--kubernetes '{value}' is not known. Give it without a value.");
                }

                continue;
            }

            if (value is null && ++i >= args.Count)
            {
                found.Add($"{flag} needs a value. See --help.");
                break;
            }

            value ??= args[i];
            switch (flag)
            {
                case "--config": options.ConfigFolder = value; break;
                case "--kubeconfig": options.Kubeconfig = value; break;
                case "--context": options.KubeContext = value; break;
                case "--api-server": options.ApiServer = value; break;
                case "--api-token-file": options.ApiTokenFile = value; break;
                case "--api-ca": options.ApiCa = value; break;
                case "--system-namespace": options.SystemNamespace = value; break;
                case "--replica-name": options.ReplicaName = value; break;
                case "--issuer-secret": options.IssuerSecret = value; break;
                case "--data": options.DataFolder = value; break;
                case "--trust-domain": options.TrustDomain = value; break;
                case "--cluster-domain": options.ClusterDomain = value; break;
                case "--root-cert": options.RootCertificate = value; break;
                case "--root-key": options.RootKey = value; break;
                case "--issuer-cert": options.IssuerCertificate = value; break;
                case "--issuer-key": options.IssuerKey = value; break;
                case "--issuer": options.Issuer = value; break;
                case "--oidc-issuer": options.OidcIssuer = value; break;
                case "--oidc-audience": options.OidcAudience = value; break;
                case "--oidc-jwks": options.OidcJwks = value; break;
                case "--oidc-identity": options.OidcIdentity = value; break;
                case "--token-review": options.TokenReview = value; break;
                case "--token-review-audience": options.TokenReviewAudience = value; break;
                case "--token-review-ca": options.TokenReviewCa = value; break;
                case "--token-review-token": options.TokenReviewToken = value; break;
                case "--otlp": options.Otlp = value; break;
                case "--otlp-headers": options.OtlpHeaders = value; break;
                case "--otlp-protocol":
                    if (value is "grpc" or "http/protobuf")
                    {
                        options.OtlpProtocol = value == "grpc" ? OtlpProtocol.Grpc : OtlpProtocol.HttpProtobuf;
                    }
                    else
                    {
                        found.Add($"--otlp-protocol '{value}' is not known. Use grpc or http/protobuf.");
                    }

                    break;
                case "--ca-key":
                    if (value is "p256" or "p384")
                    {
                        options.CaKey = value == "p384" ? CaKeyKind.P384 : CaKeyKind.P256;
                    }
                    else
                    {
                        found.Add($"--ca-key '{value}' is not known. Use p256 or p384.");
                    }

                    break;
                case "--telemetry-storage":
                    if (value is "disk" or "memory")
                    {
                        options.TelemetryStorage = value == "disk" ? TelemetryStorage.Disk : TelemetryStorage.Memory;
                    }
                    else
                    {
                        found.Add($"--telemetry-storage '{value}' is not known. Use disk or memory.");
                    }

                    break;
                case "--telemetry-max-mb": options.TelemetryMaxMegabytes = Number(flag, value, found) ?? options.TelemetryMaxMegabytes; break;
                case "--telemetry-max-series": options.TelemetryMaxSeries = Number(flag, value, found) ?? options.TelemetryMaxSeries; break;
                case "--prometheus": options.Prometheus = value; break;
                case "--prometheus-token-file": options.PrometheusTokenFile = value; break;
                case "--port-base": portBase = Port(flag, value, found); break;
                case "--ads-port": ads = Port(flag, value, found); break;
                case "--grpc-port": grpc = Port(flag, value, found); break;
                case "--http-port": http = Port(flag, value, found); break;
                case "--webhook-port": webhooks = Port(flag, value, found); break;
                case "--address":
                    if (IPAddress.TryParse(value, out var address))
                    {
                        options.Address = address;
                    }
                    else
                    {
                        found.Add($"--address '{value}' is no IP address. Use one such as 127.0.0.1 or 0.0.0.0.");
                    }

                    break;
                case "--http-host": options.HttpHosts = [.. options.HttpHosts, .. value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)]; break;
                case "--mtls":
                    if (value is "permissive" or "strict")
                    {
                        options.Mtls = value == "strict" ? MtlsMode.Strict : MtlsMode.Permissive;
                    }
                    else
                    {
                        found.Add($"--mtls '{value}' is not known. Use permissive or strict.");
                    }

                    break;
                case "--access":
                    if (AccessModes.TryParse(value, out var access))
                    {
                        options.Access = access;
                    }
                    else
                    {
                        found.Add($"--access '{value}' is not known. Use one of {string.Join(", ", AccessModes.Words)}.");
                    }

                    break;
                case "--cluster-networks": options.ClusterNetworks = Networks(flag, value, found); break;
                default:
                    if (Time(value) is { } life)
                    {
                        options.LeafLife = life;
                    }
                    else
                    {
                        found.Add($"--leaf-life '{value}' is no time. Use one such as 20s, 30m, 24h or 7d.");
                    }

                    break;
            }
        }

        // Naming a cluster is asking for it.
        options.Kubernetes |= (options.Kubeconfig ?? options.KubeContext ?? options.ApiServer) is not null;
        options.AdsPort = ads ?? portBase ?? options.AdsPort;
        options.GrpcPort = grpc ?? (portBase is null ? options.GrpcPort : portBase == 0 ? 0 : portBase.Value + 2);
        options.HttpPort = http ?? (portBase is null ? options.HttpPort : portBase == 0 ? 0 : portBase.Value + 4);
        options.WebhookPort = webhooks ?? (!options.Kubernetes || portBase is null ? null : portBase == 0 ? 0 : portBase.Value + 7);
        return found.Count == 0 ? options : null;
    }

    private static readonly HashSet<string> Known =
    [
        "--config", "--kubernetes", "--kubeconfig", "--context", "--api-server", "--api-token-file", "--api-ca", "--system-namespace", "--replica-name", "--issuer-secret", "--data", "--trust-domain", "--cluster-domain", "--address", "--port-base", "--ads-port", "--grpc-port", "--http-port", "--http-host", "--webhook-port", "--root-cert", "--root-key",
        "--telemetry-storage", "--telemetry-max-mb", "--telemetry-max-series", "--prometheus", "--prometheus-token-file",
        "--leaf-life", "--mtls", "--access", "--cluster-networks",
        "--issuer-cert", "--issuer-key", "--issuer", "--ca-key", "--oidc-issuer", "--oidc-audience", "--oidc-jwks", "--oidc-identity", "--token-review",
        "--token-review-audience", "--token-review-ca", "--token-review-token", "--otlp", "--otlp-protocol", "--otlp-headers",
    ];

    private static List<IPNetwork> Networks(string flag, string value, List<string> problems)
    {
        var networks = new List<IPNetwork>();
        foreach (var text in value.Split(',', StringSplitOptions.TrimEntries))
        {
            if (ListFields.Cidr(text, out var problem) is { } network)
            {
                networks.Add(network);
            }
            else
            {
                problems.Add($"{flag} has '{text}'. {problem}");
            }
        }

        return networks;
    }

    private static int? Number(string flag, string value, List<string> problems)
    {
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        problems.Add($"{flag} '{value}' is no number.");
        return null;
    }

    private static int? Port(string flag, string value, List<string> problems)
    {
        if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= 65535)
        {
            return port;
        }

        problems.Add($"{flag} '{value}' is no port. Use 0–65535.");
        return null;
    }

    private static TimeSpan? Time(string value)
    {
        if (value.Length < 2 || !int.TryParse(value[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return null;
        }

        return value[^1] switch
        {
            's' => TimeSpan.FromSeconds(number),
            'm' => TimeSpan.FromMinutes(number),
            'h' => TimeSpan.FromHours(number),
            'd' when number <= 3650 => TimeSpan.FromDays(number),
            _ => null,
        };
    }
}
