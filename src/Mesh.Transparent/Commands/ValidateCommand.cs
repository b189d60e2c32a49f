using Mesh.Transparent.Interception;

namespace Mesh.Transparent.Commands;

/// <summary><c>mesh-proxy validate</c>: shows before the application starts that its connections will go through the proxy.</summary>
internal static class ValidateCommand
{
    private const string Usage = """
        usage: mesh-proxy validate [options]

        Listens on the proxy's outbound port, dials 1.1.1.1:20001, and must be connected to itself.

          --timeout TIME      how long to try (10s)                            MESH_VALIDATE_TIMEOUT
          --ipv6              dial [fd00::1]:20001 as well                     MESH_VALIDATE_IPV6
          --outbound-port N   where the proxy takes outbound connections (4140)  MESH_OUTBOUND_PORT

        Exit status: 0 redirected, 95 not redirected, 1 could not be tried, 64 not understood.
        """;

    public static async Task<int> RunAsync(string[] args, CommandContext context)
    {
        var arguments = new CommandArguments(args, context.Environment, switches: ["--ipv6"], values: ["--timeout", "--outbound-port"]);
        if (arguments.Help)
        {
            await context.Output.WriteLineAsync(Usage).ConfigureAwait(false);
            return ExitCodes.Ok;
        }

        var timeout = arguments.Duration("--timeout", "MESH_VALIDATE_TIMEOUT", TimeSpan.FromSeconds(10));
        var ipV6 = arguments.Switch("--ipv6", "MESH_VALIDATE_IPV6");
        var port = arguments.Port("--outbound-port", "MESH_OUTBOUND_PORT") ?? new InterceptionOptions().OutboundPort;
        if (arguments.Problems.Count > 0)
        {
            return await context.FailAsync(ExitCodes.Usage, "validate", arguments.Problems).ConfigureAwait(false);
        }

        try
        {
            await RedirectionProbe.CheckAsync(ipV6: false, port, timeout, context.Time).ConfigureAwait(false);
            if (ipV6)
            {
                await RedirectionProbe.CheckAsync(ipV6: true, port, timeout, context.Time).ConfigureAwait(false);
            }

            await context.Output.WriteLineAsync($"Outbound connections are redirected to {port} ({(ipV6 ? "IPv4 and IPv6" : "IPv4")}).").ConfigureAwait(false);
            return ExitCodes.Ok;
        }
        catch (InterceptionException exception)
        {
            return await context.FailAsync(exception.ExitCode, "validate", exception.Message).ConfigureAwait(false);
        }
    }
}
