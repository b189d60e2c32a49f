using System.Text.Json.Nodes;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using YamlDotNet.Core;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What the webhooks of a cluster rest on.</summary>
internal static class ClusterInjector
{
    private const string ValuesKey = "values.yaml";

    public static InjectorParts Of(ClusterParts cluster, WebhookCertificate certificate, IEventSink events)
    {
        var read = (Version: string.Empty, Values: Bare(cluster));
        var gate = new Lock();
        return new InjectorParts(new KubeNamespaces(cluster.Settings.Api), Values, events, certificate);

        // Asked for every pod; read anew when it was changed. What can't be read leaves the last good in force.
        InjectionValues Values()
        {
            lock (gate)
            {
                if (cluster.Installed is not { } config)
                {
                    return read.Values;
                }

                var version = WatchedObjects.VersionOf(config);
                if (version != read.Version)
                {
                    read = (version, Read(config, cluster) ?? read.Values);
                }

                return read.Values;
            }
        }
    }

    private static InjectionValues Bare(ClusterParts cluster) => new() { ControlPlaneNamespace = cluster.Settings.Namespace, TrustDomain = cluster.TrustDomain, ClusterDomain = cluster.ClusterDomain };

    private static InjectionValues? Read(JsonObject config, ClusterParts cluster)
    {
        try
        {
            var values = config["data"]?[ValuesKey]?.GetValue<string>() is { } text ? YamlJson.Parse(text) : [];
            // What this process was started with goes before what was installed: it is what workloads meet here.
            return InjectionValues.Read(values.Count > 0 ? values[0] : [], []) with
            {
                ControlPlaneNamespace = cluster.Settings.Namespace, TrustDomain = cluster.TrustDomain, ClusterDomain = cluster.ClusterDomain,
            };
        }
        catch (YamlException)
        {
            return null;
        }
    }
}
