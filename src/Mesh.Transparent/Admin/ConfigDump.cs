using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Outbound;
using Mesh.Xds.Decoding;

namespace Mesh.Transparent.Admin;

/// <summary>What this proxy goes by now, as JSON. No key, no token, no value of a header and no body is in it: what is written is named here, one by one.</summary>
internal sealed class ConfigDump(
    SidecarOptions options, MeshOptions mesh, LocalNode node, IConfigSource config, OutboundTableStore outbound, InboundTable inbound, IWorkloadIdentitySource identity, TimeProvider time)
{
    private static readonly JsonWriterOptions Json = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public void WriteTo(Stream stream)
    {
        // Each read once, so that what belongs together is of one moment.
        var (snapshot, table) = (config.Snapshots.Current, outbound.Current);
        using var json = new Utf8JsonWriter(stream, Json);
        json.WriteStartObject();
        WriteNode(json);
        WriteIdentity(json);
        WriteOptions(json);
        WriteInbound(json, snapshot);
        WriteListeners(json, snapshot);
        WriteClusters(json, snapshot, table);
        json.WriteEndObject();
    }

    private void WriteNode(Utf8JsonWriter json)
    {
        json.WriteStartObject("node");
        json.WriteString("id", node.Id);
        json.WriteString("namespace", node.Namespace);
        json.WriteString("service_account", node.ServiceAccount);
        json.WriteString("workload", node.Workload);
        json.WriteString("region", node.Locality?.Region);
        json.WriteString("zone", node.Locality?.Zone);
        WriteStrings(json, "instance_ips", options.InstanceIps?.Select(i => i.ToString()) ?? node.InstanceIps);
        json.WriteEndObject();
    }

    private void WriteIdentity(Utf8JsonWriter json)
    {
        json.WriteStartObject("identity");
        if (identity.Current is { } current)
        {
            json.WriteString("spiffe_id", current.Svid.Id.ToString());
            json.WriteString("serial", current.Svid.Leaf.SerialNumber);
            json.WriteString("not_before", current.Svid.NotBefore);
            json.WriteString("not_after", current.Svid.NotAfter);
            json.WriteNumber("generation", current.Generation);
            json.WriteStartArray("trusted_roots");
            foreach (var root in current.Bundle.Roots)
            {
                json.WriteStartObject();
                json.WriteString("subject", root.Subject);
                json.WriteString("serial", root.SerialNumber);
                json.WriteString("not_after", new DateTimeOffset(root.NotAfter.ToUniversalTime()));
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteString("problem", identity.Problem);
        json.WriteEndObject();
    }

    private void WriteOptions(Utf8JsonWriter json)
    {
        json.WriteStartObject("options");
        WriteStrings(json, "outbound_listen", options.OutboundListen.Select(e => e.ToString()));
        WriteStrings(json, "inbound_listen", options.InboundListen.Select(e => e.ToString()));
        WriteStrings(json, "admin_listen", options.AdminListen.Select(e => e.ToString()));
        json.WriteString("inbound_ports", options.InboundPorts.ToString());
        json.WriteString("opaque_ports", options.OpaquePorts.ToString());
        json.WriteString("skip_inbound_ports", options.SkipInboundPorts.ToString());
        json.WriteString("egress", options.Egress == EgressMode.Deny ? "deny" : "allow");
        json.WriteString("access_log", options.AccessLog switch { MeshAccessLog.Json => "json", MeshAccessLog.Apache => "apache", _ => "off" });
        json.WriteString("drain_timeout", Text(options.DrainTimeout));
        json.WriteString("control_plane", mesh.ControlPlane is { } given && MeshOptionsValidator.TryReadAddress(given, out var address) ? address.GetLeftPart(UriPartial.Authority) : null);
        json.WriteString("control_plane_name", mesh.ControlPlaneName);
        json.WriteString("trust_bundle", mesh.TrustBundle);
        json.WriteBoolean("token_given", !string.IsNullOrEmpty(mesh.Token));
        json.WriteString("token_file", mesh.TokenFile);
        json.WriteString("certificate_file", mesh.CertificateFile);
        json.WriteString("key_file", mesh.KeyFile);
        json.WriteString("workload_api", mesh.WorkloadApi);
        json.WriteString("trust_domain", mesh.TrustDomain);
        json.WriteString("cluster_domain", mesh.ClusterDomain);
        json.WriteString("ads_variant", mesh.AdsVariant == AdsVariant.Delta ? "Delta" : "StateOfTheWorld");
        json.WriteString("telemetry_interval", Text(mesh.TelemetryInterval));
        json.WriteBoolean("tap", mesh.Tap);
        WriteStrings(json, "probe_paths", mesh.Server.ProbePaths);
        json.WriteString("unlisted_access", mesh.Server.UnlistedAccess switch { UnlistedAccess.Deny => "deny", UnlistedAccess.AllowAuthenticated => "allow-authenticated", _ => "allow" });
        json.WriteEndObject();
    }

    private void WriteInbound(Utf8JsonWriter json, MeshSnapshot snapshot)
    {
        json.WriteStartArray("inbound");
        foreach (var address in inbound.Addresses.OrderBy(a => a.Name, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString("address", address.Name);
            if (address.Policy is { } policy)
            {
                json.WriteBoolean("mesh_tls", policy.MeshTls);
                json.WriteBoolean("plaintext", policy.Plaintext);
                WriteSide(json, "mesh", policy, isMeshTls: true);
                WriteSide(json, "other", policy, isMeshTls: false);
            }
            else
            {
                json.WriteString("waiting_for", "the control plane's policy");
            }

            var listener = snapshot.Listeners.GetValueOrDefault(XdsTypes.InboundPrefix + address.Name);
            WriteChains(json, (listener as ListenerResult.Found)?.Listener.FilterChains ?? []);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteSide(Utf8JsonWriter json, string name, InboundPolicy policy, bool isMeshTls)
    {
        json.WriteStartObject(name);
        json.WriteBoolean("opaque", policy.IsOpaque(isMeshTls));
        json.WriteBoolean("rules", policy.Authorizer(isMeshTls) is not null);
        json.WriteBoolean("limits", policy.Limits(isMeshTls) is not null);
        json.WriteBoolean("tokens", policy.Guards(isMeshTls).Authenticator is not null);
        json.WriteEndObject();
    }

    private static void WriteChains(Utf8JsonWriter json, IReadOnlyList<FilterChain> chains)
    {
        json.WriteStartArray("filter_chains");
        foreach (var chain in chains)
        {
            json.WriteStartObject();
            json.WriteString("name", chain.Name);
            json.WriteString("transport", chain.Transport switch { TransportProtocol.Tls => "tls", TransportProtocol.RawBuffer => "raw_buffer", _ => "any" });
            json.WriteBoolean("mesh_tls", chain.MeshTls);
            json.WriteBoolean("opaque", chain.IsOpaque);
            WriteStrings(json, "filters", chain.Http?.Filters.Select(f => f.Name) ?? []);
            json.WriteNumber("connection_rules", chain.ConnectionRules.Count);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteListeners(Utf8JsonWriter json, MeshSnapshot snapshot)
    {
        json.WriteStartArray("listeners");
        foreach (var (name, result) in snapshot.Listeners.OrderBy(l => l.Key, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("state", result switch { ListenerResult.Found => "found", ListenerResult.DoesNotExist => "does_not_exist", _ => "unavailable" });
            json.WriteString("reason", result switch { ListenerResult.DoesNotExist none => none.Reason, ListenerResult.Unavailable no => no.Reason, _ => null });
            if (result is ListenerResult.Found { Routes: { } routes })
            {
                json.WriteString("routes_name", routes.Name);
                json.WriteStartArray("routes");
                foreach (var (host, route) in routes.VirtualHosts.SelectMany(h => h.Routes.Select(r => (h, r))))
                {
                    WriteRoute(json, host, route);
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteRoute(Utf8JsonWriter json, VirtualHost host, Route route)
    {
        json.WriteStartObject();
        json.WriteString("name", route.Name);
        WriteStrings(json, "domains", host.Domains);
        json.WriteString("path", route.Match.Path is { } path ? $"{path.Kind}: {path.Text}" : null);
        WriteStrings(json, "headers", route.Match.Headers.Select(h => h.Name));
        switch (route.Action)
        {
            case RouteAction.Forward forward:
                json.WriteStartArray("clusters");
                foreach (var cluster in forward.Clusters)
                {
                    json.WriteStartObject();
                    json.WriteString("name", cluster.Name);
                    json.WriteNumber("weight", cluster.Weight);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
                json.WriteString("timeout", forward.Timeout is { } timeout ? Text(timeout) : null);
                json.WriteNumber("retries", forward.Retry?.NumRetries ?? 0);
                WriteStrings(json, "mirrors", forward.Mirrors.Select(m => m.Cluster));
                break;
            case RouteAction.Redirect redirect:
                json.WriteNumber("redirect", redirect.Status);
                break;
            case RouteAction.DirectResponse direct:
                json.WriteNumber("direct_response", direct.Status);
                break;
            case RouteAction.NotForwarding none:
                json.WriteString("not_forwarding", none.Reason);
                break;
        }

        json.WriteEndObject();
    }

    private void WriteClusters(Utf8JsonWriter json, MeshSnapshot snapshot, OutboundTable table)
    {
        var live = table.Listeners.Values.SelectMany(l => l.Clusters).DistinctBy(c => c.Name).ToDictionary(c => c.Name, StringComparer.Ordinal);
        json.WriteStartArray("clusters");
        foreach (var (name, result) in snapshot.Clusters.OrderBy(c => c.Key, StringComparer.Ordinal))
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("state", result is ClusterResult.Found ? "found" : "unavailable");
            if (result is ClusterResult.Unavailable { Reason: var reason })
            {
                json.WriteString("reason", reason);
            }

            // The live one: it keeps its last good configuration.
            if (live.TryGetValue(name, out var cluster))
            {
                json.WriteString("load_balancing", cluster.Config.LoadBalancing.ToString());
                json.WriteString("connect_timeout", Text(cluster.Config.ConnectTimeout));
                json.WriteNumber("max_requests", cluster.Config.MaxRequests);
                json.WriteNumber("in_flight", cluster.Limit.InFlight);
                json.WriteStartArray("endpoints");
                foreach (var endpoint in cluster.Balancer.Endpoints)
                {
                    WriteEndpoint(json, endpoint);
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteEndpoint(Utf8JsonWriter json, BalancedEndpoint endpoint)
    {
        var (at, now) = (endpoint.Config, time.GetTimestamp());
        json.WriteStartObject();
        json.WriteString("address", at.HostPort);
        json.WriteNumber("weight", at.Weight);
        json.WriteString("tls", at.Tls == EndpointTls.Mesh ? "mesh" : "none");
        json.WriteString("spiffe_id", at.SpiffeId?.ToString());
        json.WriteString("state", at switch
        {
            { Draining: true } => "draining",
            { Healthy: false } => "unhealthy",
            _ when endpoint.IsEjected(now) => "ejected",
            _ when endpoint.ProbeFailing => "probe_failing",
            _ when endpoint.IsSteeredAway(now) => "steered_away",
            _ => "usable",
        });
        json.WriteNumber("in_flight", endpoint.InFlight);
        json.WriteEndObject();
    }

    private static string Text(TimeSpan time) => time.ToString("c", CultureInfo.InvariantCulture);

    private static void WriteStrings(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }
}
