using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Runtime.InteropServices;
using Mesh.Cli.Agent;
using Mesh.Hosting;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh identity agent</c>: keeps certificate files current for peers that read files, and serves the SPIFFE Workload API for those that speak it.</summary>
internal static class IdentityAgentCommand
{
    public static Command Create(CliContext context)
    {
        var folder = new Option<string?>("--out") { Description = "Folder for tls.crt, tls.key and ca.crt" };
        var socket = new Option<string?>("--socket") { Description = "Path of a Unix socket to serve the SPIFFE Workload API on (Linux)" };
        var users = new Option<uint[]>("--allow-uid") { Description = "A user, beside the agent's own, whose processes may ask at --socket", AllowMultipleArgumentsPerToken = true };
        var @namespace = new Option<string>("--namespace", "-n") { Description = "The workload's namespace", DefaultValueFactory = _ => "default" };
        var account = new Option<string>("--service-account") { Description = "The workload's service account", Required = true };
        var controlPlane = new Option<string>("--control-plane") { Description = "The control plane's TLS gRPC address, such as https://127.0.0.1:15012", Required = true };
        var bundle = new Option<string>("--trust-bundle") { Description = "PEM file with the roots that vouch for the control plane", Required = true };
        var token = new Option<string?>("--token") { Description = "A join token ('mesh token create')" };
        var tokenFile = new Option<string?>("--token-file") { Description = "A file with the token, read again at every use" };
        var trustDomain = new Option<string>("--trust-domain") { Description = "The mesh's trust domain", DefaultValueFactory = _ => "cluster.local" };
        var once = new Option<bool>("--once") { Description = "Write the files once, then end" };
        var timeout = CommonOptions.Time("--timeout", TimeSpan.FromSeconds(30), "How long to wait for the first certificate (default 30s)");
        var serves = new Option<IPEndPoint[]>("--serves")
        {
            Description = "Where the workload serves mesh TLS with these files, as IP:PORT[,IP:PORT]: callers then use mesh TLS there, and never plaintext again",
            CustomParser = ParseAddresses,
        };
        var command = new Command("agent", "Keeps tls.crt, tls.key and ca.crt current in a folder, replaced all at once, and serves the identity as a SPIFFE Workload API.")
        {
            folder, socket, users, @namespace, account, controlPlane, bundle, token, tokenFile, trustDomain, once, timeout, serves,
        };
        command.Validators.Add(result =>
        {
            if ((result.GetValue(token) is null) == (result.GetValue(tokenFile) is null))
            {
                result.AddError("Give one of --token and --token-file.");
            }

            if (result.GetValue(folder) is null && result.GetValue(socket) is null)
            {
                result.AddError("Give --out, --socket or both: where the identity is to go.");
            }

            if (result.GetValue(once) && result.GetValue(socket) is not null)
            {
                result.AddError("--once ends the agent, and with it --socket: leave one of them out.");
            }

            if (result.GetResult(users) is { Tokens.Count: > 0 } && result.GetValue(socket) is null)
            {
                result.AddError("--allow-uid is about --socket, which is not given.");
            }

            if (result.GetValue(once) && result.GetResult(serves) is not null)
            {
                result.AddError("--serves is said on a stream that the agent keeps open: leave --once out.");
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            var options = new MeshOptions
            {
                ControlPlane = result.GetValue(controlPlane),
                TrustBundle = Existing(result.GetValue(bundle)!, "--trust-bundle"),
                Token = result.GetValue(token),
                TokenFile = result.GetValue(tokenFile) is { } file ? Existing(file, "--token-file") : null,
                Namespace = result.GetValue(@namespace)!,
                ServiceAccount = result.GetValue(account)!,
                TrustDomain = result.GetValue(trustDomain)!,
            };
            using var terminated = new CancellationTokenSource();
            // A daemon that is told to stop has done its work: SIGTERM ends it with 0, Ctrl-C as any command.
            using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
            {
                signal.Cancel = true;
                terminated.Cancel();
            });
            using var either = CancellationTokenSource.CreateLinkedTokenSource(terminated.Token, cancellationToken);
            try
            {
                await using var identity = await OpenAsync(context, options, either.Token);
                await using var api = result.GetValue(socket) is { } path ? await ServeAsync(path, result.GetValue(users) ?? [], identity, context, either.Token) : null;
                var files = result.GetValue(folder) is { } target ? new IdentityFiles(Path.GetFullPath(target)) : null;
                using var served = result.GetValue(serves) is { Length: > 0 } addresses
                    ? new ServedAddresses(identity.Config, addresses, context.Error.WriteLine)
                    : null;
                await new IdentityAgent(identity.Source, files, context).RunAsync(result.GetValue(once), result.GetValue(timeout), either.Token);
            }
            catch (OperationCanceledException) when (terminated.IsCancellationRequested)
            {
                // Told to stop.
            }

            return ExitCodes.Ok;
        });
        return command;
    }

    private static Task<WorkloadApiServer> ServeAsync(string path, uint[] users, OpenedIdentity identity, CliContext context, CancellationToken cancellationToken) => OperatingSystem.IsLinux()
        ? WorkloadApiServer.StartAsync(Path.GetFullPath(path), users, identity.Source, context, cancellationToken)
        : throw new CliException(ExitCodes.Usage, "the Workload API cannot be served here", "it needs Linux to know who connects", "leave --socket out");

    private static IPEndPoint[] ParseAddresses(ArgumentResult result)
    {
        var addresses = new List<IPEndPoint>();
        foreach (var text in result.Tokens.SelectMany(token => token.Value.Split(',', StringSplitOptions.TrimEntries)))
        {
            if (!ServedAddresses.TryParse(text, out var address))
            {
                result.AddError($"--serves does not take '{text}': give IP:PORT as the Service's endpoint has it, such as 10.0.0.7:8080 or [::1]:8080; 0.0.0.0 and [::] are every address of this machine.");
                break;
            }

            addresses.Add(address);
        }

        return [.. addresses];
    }

    private static string Existing(string file, string option) => File.Exists(file)
        ? Path.GetFullPath(file)
        : throw new CliException(ExitCodes.BadInput, $"{file} could not be read", "there is no such file", $"check {option}");

    private static async Task<OpenedIdentity> OpenAsync(CliContext context, MeshOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await context.OpenIdentity(options, cancellationToken);
        }
        catch (Exception error) when (error is MeshConfigurationException or Microsoft.Extensions.Options.OptionsValidationException)
        {
            throw new CliException(ExitCodes.Usage, "the agent cannot start", error.Message, "correct what is named", error);
        }
    }
}
