using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Reads <see cref="MeshOptions"/> from the section <c>Mesh</c>.</summary>
/// <remarks>By hand: it is AOT-clean, lists replace defaults instead of adding to them, and every unreadable value is named at once.</remarks>
internal sealed class MeshOptionsSetup(IConfiguration? configuration) : IConfigureOptions<MeshOptions>
{
    public void Configure(MeshOptions options)
    {
        if (configuration?.GetSection(MeshOptions.SectionName) is not { } section)
        {
            return;
        }

        var problems = new List<string>();
        options.ControlPlane = Text(section, nameof(MeshOptions.ControlPlane)) ?? options.ControlPlane;
        options.TrustBundle = Text(section, nameof(MeshOptions.TrustBundle)) ?? options.TrustBundle;
        options.Token = Text(section, nameof(MeshOptions.Token)) ?? options.Token;
        options.TokenFile = Text(section, nameof(MeshOptions.TokenFile)) ?? options.TokenFile;
        options.ControlPlaneName = Text(section, nameof(MeshOptions.ControlPlaneName)) ?? options.ControlPlaneName;
        options.ClusterId = Text(section, nameof(MeshOptions.ClusterId)) ?? options.ClusterId;
        options.CertificateFile = Text(section, nameof(MeshOptions.CertificateFile)) ?? options.CertificateFile;
        options.KeyFile = Text(section, nameof(MeshOptions.KeyFile)) ?? options.KeyFile;
        options.WorkloadApi = Text(section, nameof(MeshOptions.WorkloadApi)) ?? options.WorkloadApi;
        options.Namespace = Text(section, nameof(MeshOptions.Namespace)) ?? options.Namespace;
        options.ServiceAccount = Text(section, nameof(MeshOptions.ServiceAccount)) ?? options.ServiceAccount;
        options.Workload = Text(section, nameof(MeshOptions.Workload)) ?? options.Workload;
        options.Region = Text(section, nameof(MeshOptions.Region)) ?? options.Region;
        options.Zone = Text(section, nameof(MeshOptions.Zone)) ?? options.Zone;
        options.TrustDomain = Text(section, nameof(MeshOptions.TrustDomain)) ?? options.TrustDomain;
        options.ClusterDomain = Text(section, nameof(MeshOptions.ClusterDomain)) ?? options.ClusterDomain;
        if (Text(section, nameof(MeshOptions.AdsVariant)) is { } variant)
        {
            if (Enum.TryParse<AdsVariant>(variant, ignoreCase: true, out var parsed) && Enum.IsDefined(parsed))
            {
                options.AdsVariant = parsed;
            }
            else
            {
                problems.Add($"Mesh:AdsVariant is '{variant}'. Use {nameof(AdsVariant.Delta)} or {nameof(AdsVariant.StateOfTheWorld)}.");
            }
        }

        if (Text(section, nameof(MeshOptions.TelemetryInterval)) is { } interval)
        {
            if (TimeSpan.TryParse(interval, CultureInfo.InvariantCulture, out var parsed))
            {
                options.TelemetryInterval = parsed;
            }
            else
            {
                problems.Add($"Mesh:TelemetryInterval is '{interval}'. Use hours:minutes:seconds, such as 00:00:05.");
            }
        }

        options.Metrics = Flag(section, nameof(MeshOptions.Metrics), problems) ?? options.Metrics;
        options.MetricsListen = Text(section, nameof(MeshOptions.MetricsListen)) ?? options.MetricsListen;
        options.Tap = Flag(section, nameof(MeshOptions.Tap), problems) ?? options.Tap;
        if (options is { ControlPlane: not null, Token: null, TokenFile: null, CertificateFile: null, KeyFile: null, WorkloadApi: null })
        {
            // What SPIFFE's own tools go by. It alone turns nothing on, and nothing that was set yields to it.
            options.WorkloadApi = configuration["SPIFFE_ENDPOINT_SOCKET"] is { Length: > 0 } socket ? socket : null;
        }

        MeshCallOptionsReader.Read(section, options, problems);
        var server = section.GetSection(nameof(MeshOptions.Server));
        Replace(options.Server.ProbePaths, List(server, nameof(MeshServerOptions.ProbePaths)));
        if (List(server, nameof(MeshServerOptions.ExcludedPorts)) is { } ports)
        {
            options.Server.ExcludedPorts.Clear();
            foreach (var port in ports)
            {
                if (int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed))
                {
                    options.Server.ExcludedPorts.Add(parsed);
                }
                else
                {
                    problems.Add($"Mesh:Server:ExcludedPorts holds '{port}'. Use port numbers, 1–65535.");
                }
            }
        }

        options.Server.MaxConcurrentRequests = Count(server, nameof(MeshServerOptions.MaxConcurrentRequests), problems) ?? options.Server.MaxConcurrentRequests;
        options.Server.MaxQueuedRequests = Count(server, nameof(MeshServerOptions.MaxQueuedRequests), problems) ?? options.Server.MaxQueuedRequests;
        if (Text(server, nameof(MeshServerOptions.QueueTimeout)) is { } timeout)
        {
            if (TimeSpan.TryParse(timeout, CultureInfo.InvariantCulture, out var parsed))
            {
                options.Server.QueueTimeout = parsed;
            }
            else
            {
                problems.Add($"Mesh:Server:QueueTimeout is '{timeout}'. Use hours:minutes:seconds, such as 00:00:01.");
            }
        }

        options.Server.ReportLoadToAll = Flag(server, nameof(MeshServerOptions.ReportLoadToAll), problems) ?? options.Server.ReportLoadToAll;
        options.Server.ExplainDenials = Flag(server, nameof(MeshServerOptions.ExplainDenials), problems) ?? options.Server.ExplainDenials;
        if (Text(server, nameof(MeshServerOptions.UnlistedAccess)) is { } access)
        {
            // By hand: Enum.TryParse takes numbers and lists.
            UnlistedAccess? known = access.Replace("-", string.Empty, StringComparison.Ordinal).ToUpperInvariant() switch
            {
                "ALLOW" => UnlistedAccess.Allow,
                "ALLOWAUTHENTICATED" => UnlistedAccess.AllowAuthenticated,
                "DENY" => UnlistedAccess.Deny,
                _ => null,
            };
            if (known is { } parsed)
            {
                options.Server.UnlistedAccess = parsed;
            }
            else
            {
                problems.Add($"Mesh:Server:UnlistedAccess is '{access}'. Use allow, allow-authenticated or deny.");
            }
        }

        Replace(options.Server.TrustedProxies, List(server, nameof(MeshServerOptions.TrustedProxies)));
        if (Text(server, nameof(MeshServerOptions.AmbiguousPaths)) is { } ambiguous)
        {
            if (Enum.TryParse<MeshAmbiguousRequests>(ambiguous, ignoreCase: true, out var parsed) && Enum.IsDefined(parsed))
            {
                options.Server.AmbiguousPaths = parsed;
            }
            else
            {
                problems.Add($"Mesh:Server:AmbiguousPaths is '{ambiguous}'. Use {nameof(MeshAmbiguousRequests.Refuse)}, {nameof(MeshAmbiguousRequests.Normalize)} or {nameof(MeshAmbiguousRequests.Pass)}.");
            }
        }

        if (Text(server, nameof(MeshServerOptions.AccessLog)) is { } log)
        {
            // By hand: Enum.TryParse takes numbers and lists.
            MeshAccessLog? known = log.ToUpperInvariant() switch
            {
                "OFF" => MeshAccessLog.Off,
                "JSON" => MeshAccessLog.Json,
                "APACHE" => MeshAccessLog.Apache,
                _ => null,
            };
            if (known is { } parsed)
            {
                options.Server.AccessLog = parsed;
            }
            else
            {
                problems.Add($"Mesh:Server:AccessLog is '{log}'. Use off, json or apache.");
            }
        }

        var jwks = section.GetSection(nameof(MeshOptions.Jwks));
        options.Jwks.AllowHttp = Flag(jwks, nameof(MeshJwksOptions.AllowHttp), problems) ?? options.Jwks.AllowHttp;
        Replace(options.Jwks.AllowedNetworks, List(jwks, nameof(MeshJwksOptions.AllowedNetworks)));

        ReadTraces(section.GetSection(nameof(MeshOptions.Traces)), options.Traces, problems);
        if (problems.Count > 0)
        {
            throw new MeshConfigurationException(problems);
        }
    }

    private static void ReadTraces(IConfigurationSection section, MeshTracesOptions traces, List<string> problems)
    {
        traces.Enabled = Flag(section, nameof(MeshTracesOptions.Enabled), problems) ?? traces.Enabled;
        traces.Failed = Flag(section, nameof(MeshTracesOptions.Failed), problems) ?? traces.Failed;
        if (Text(section, nameof(MeshTracesOptions.Ratio)) is { } ratio)
        {
            if (double.TryParse(ratio, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var parsed))
            {
                traces.Ratio = parsed;
            }
            else
            {
                problems.Add($"Mesh:Traces:Ratio is '{ratio}'. Use a share from 0 to 1, such as 0.01.");
            }
        }

        if (Text(section, nameof(MeshTracesOptions.SlowerThan)) is { } slow)
        {
            if (TimeSpan.TryParse(slow, CultureInfo.InvariantCulture, out var parsed))
            {
                traces.SlowerThan = parsed;
            }
            else
            {
                problems.Add($"Mesh:Traces:SlowerThan is '{slow}'. Use hours:minutes:seconds, such as 00:00:01.");
            }
        }
    }

    private static string? Text(IConfigurationSection section, string key) => section[key] is { } value && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;

    private static bool? Flag(IConfigurationSection section, string key, List<string> problems)
    {
        if (Text(section, key) is not { } text)
        {
            return null;
        }

        if (bool.TryParse(text, out var flag))
        {
            return flag;
        }

        problems.Add($"{section.Path}:{key} is '{text}'. Use true or false.");
        return null;
    }

    private static int? Count(IConfigurationSection section, string key, List<string> problems)
    {
        if (Text(section, key) is not { } text)
        {
            return null;
        }

        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var count))
        {
            return count;
        }

        problems.Add($"Mesh:Server:{key} is '{text}'. Use a whole number.");
        return null;
    }

    /// <summary>An array (<c>Ports__0</c>) or one value with commas (<c>Ports=1,2</c>); null when not given.</summary>
    private static List<string>? List(IConfigurationSection section, string key)
    {
        var child = section.GetSection(key);
        if (child.Value is { } joined)
        {
            return [.. joined.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        }

        var items = child.GetChildren().Select(c => c.Value ?? string.Empty).ToList();
        return items.Count == 0 ? null : items;
    }

    private static void Replace(IList<string> target, List<string>? values)
    {
        if (values is null)
        {
            return;
        }

        target.Clear();
        values.ForEach(target.Add);
    }
}
