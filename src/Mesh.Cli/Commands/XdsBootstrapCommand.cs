using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Hosting;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh xds bootstrap</c>: a ready <c>GRPC_XDS_BOOTSTRAP</c> for gRPC peers in any language (gRFC A27, A29, A36).</summary>
internal static class XdsBootstrapCommand
{
    public static Command Create(CliContext context)
    {
        var @namespace = new Option<string>("--namespace", "-n") { Description = "The peer's namespace", Required = true };
        var certificates = new Option<string?>("--certs") { Description = "Folder that 'mesh identity agent' keeps; without it the peer calls in the clear" };
        var server = new Option<string>("--ads-server") { Description = "The control plane's plaintext ADS address", DefaultValueFactory = _ => "127.0.0.1:15010" };
        var command = new Command("bootstrap", "Prints a GRPC_XDS_BOOTSTRAP file for gRPC in any language.") { @namespace, certificates, server };
        server.Validators.Add(result =>
        {
            var value = result.GetValueOrDefault<string>() ?? "";
            if (value.LastIndexOf(':') is var colon && (colon < 1 || !ushort.TryParse(value[(colon + 1)..], out var port) || port == 0))
            {
                result.AddError($"--ads-server does not take '{value}': give HOST:PORT, such as 127.0.0.1:15010.");
            }
        });
        command.SetAction(async (result, _) =>
        {
            var folder = result.GetValue(certificates) is { Length: > 0 } given ? System.IO.Path.GetFullPath(given) : null;
            await context.Out.WriteLineAsync(Build(result.GetValue(@namespace)!, folder, result.GetValue(server)!, Environment.MachineName, LocalNode.FindIps()).ToJsonString(ControlPlaneApi.Json));
            if (folder is not null && !Directory.Exists(folder))
            {
                await context.Error.WriteLineAsync($"{folder} does not exist yet: start 'mesh identity agent --out {folder} …' before the peer.");
            }

            return ExitCodes.Ok;
        });
        return command;
    }

    internal static JsonObject Build(string @namespace, string? certificates, string adsServer, string host, IReadOnlyList<string> instanceIps)
    {
        // The addresses tell the control plane which endpoints a server means that listens on 0.0.0.0 or [::].
        var metadata = new JsonObject { ["NAMESPACE"] = @namespace, ["INSTANCE_IPS"] = string.Join(',', instanceIps) };
        var bootstrap = new JsonObject
        {
            ["xds_servers"] = new JsonArray(new JsonObject
            {
                ["server_uri"] = adsServer,
                ["channel_creds"] = new JsonArray(new JsonObject { ["type"] = "insecure" }),
                ["server_features"] = new JsonArray("xds_v3"),
            }),
            ["node"] = new JsonObject
            {
                ["id"] = $"foreign~{host}~{@namespace}",
                ["cluster"] = @namespace,
                ["locality"] = new JsonObject(),
                ["metadata"] = metadata,
            },
        };
        if (certificates is not null)
        {
            // Tells the control plane that the provider below is there; a peer without it would refuse clusters with TLS.
            metadata["MESH_TLS"] = "default";
            bootstrap["certificate_providers"] = new JsonObject
            {
                ["default"] = new JsonObject
                {
                    ["plugin_name"] = "file_watcher",
                    ["config"] = new JsonObject
                    {
                        ["certificate_file"] = System.IO.Path.Combine(certificates, "tls.crt"),
                        ["private_key_file"] = System.IO.Path.Combine(certificates, "tls.key"),
                        ["ca_certificate_file"] = System.IO.Path.Combine(certificates, "ca.crt"),
                        ["refresh_interval"] = "5s",
                    },
                },
            };
        }

        bootstrap["server_listener_resource_name_template"] = "grpc/server?xds.resource.listening_address=%s";
        return bootstrap;
    }
}
