using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Tls;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Translation;

// Here, for Mesh.ControlPlane.Cluster is a room.
using Cluster = Mesh.Protos.Envoy.Cluster.Cluster;

/// <summary>Writes clusters.</summary>
internal sealed class ClusterTranslator(TrustDomain trustDomain)
{
    /// <param name="ns">The Service's namespace.</param>
    public Cluster Translate(string name, string ns, NodeContext node, IReadOnlyList<ServiceEndpoint> endpoints, EffectiveSettings settings)
    {
        var cluster = new Cluster
        {
            Name = name,
            Type = Cluster.Types.DiscoveryType.Eds,
            EdsClusterConfig = new Cluster.Types.EdsClusterConfig { EdsConfig = ListenerTranslator.Ads(), ServiceName = name },
            ConnectTimeout = Duration.FromTimeSpan(settings.Get(TimeoutSettings.Connect)),
        };
        BalancingTranslator.Apply(cluster, settings, node.IsMesh);
        OutlierTranslator.Apply(cluster, settings, node.IsMesh);
        ClusterLimitsTranslator.Apply(cluster, settings, node.IsMesh);
        if (node.HasDefaultTls && endpoints.Count > 0 && endpoints.All(e => e.Meshed))
        {
            cluster.TransportSocket = new TransportSocket { Name = ListenerTranslator.TlsTransportSocket, TypedConfig = Any.Pack(UpstreamTls(ns, endpoints)) };
        }

        return cluster;
    }

    private UpstreamTlsContext UpstreamTls(string ns, IReadOnlyList<ServiceEndpoint> endpoints)
    {
        var instance = new CertificateProviderPluginInstance { InstanceName = ListenerTranslator.ProviderInstance };
        var validation = new CertificateValidationContext { CaCertificateProviderInstance = instance.Clone() };
        validation.MatchSubjectAltNames.AddRange(endpoints.Select(e => e.ServiceAccount!).Distinct().Order(StringComparer.Ordinal)
            .Select(account => new StringMatcher { Exact = SpiffeId.ForServiceAccount(trustDomain, ns, account).ToString() }));
        return new UpstreamTlsContext
        {
            CommonTlsContext = new CommonTlsContext
            {
                TlsCertificateProviderInstance = instance,
                CombinedValidationContext = new CommonTlsContext.Types.CombinedCertificateValidationContext { DefaultValidationContext = validation },
            },
        };
    }
}
