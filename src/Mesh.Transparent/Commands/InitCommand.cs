using Mesh.Transparent.Interception;

namespace Mesh.Transparent.Commands;

/// <summary><c>mesh-proxy init</c>: has the kernel turn this network namespace's TCP connections to the proxy, or undoes that.</summary>
internal static class InitCommand
{
    private const string Usage = """
        usage: mesh-proxy init [options]

        Redirects the TCP connections of this network namespace to the proxy. Run again, it replaces what it wrote.

          --undo                       delete the rules; fine when there are none           MESH_REDIRECT_UNDO
          --backend NAME               nft (default), iptables-nft, iptables-legacy         MESH_REDIRECT_BACKEND
          --proxy-uid N                the proxy's user, never redirected (2102)            MESH_PROXY_UID
          --proxy-gid N                a group that is never redirected                     MESH_PROXY_GID
          --outbound-port N            where the proxy takes outbound connections (4140)    MESH_OUTBOUND_PORT
          --inbound-port N             where the proxy takes inbound connections (4143)     MESH_INBOUND_PORT
          --inbound-ports PORTS        the only ports redirected inbound ("all")            MESH_REDIRECT_INBOUND_PORTS
          --skip-inbound-ports PORTS   never redirected inbound; 4191 never is              MESH_SKIP_INBOUND_PORTS
          --skip-outbound-ports PORTS  never redirected outbound                            MESH_SKIP_OUTBOUND_PORTS
          --skip-subnets CIDRS         destinations that are called directly                MESH_SKIP_SUBNETS
          --no-ipv6                    redirect IPv4 alone                                  MESH_NO_IPV6
          --dry-run                    print the rules, change nothing                      MESH_REDIRECT_DRY_RUN
          --run                        then become the proxy, as its user and without a right of root's left

        PORTS and CIDRS are lists with commas; a range of ports is 8000-8100.
        Exit status: 0 done, 1 failed, 64 not understood, 77 not permitted.
        """;

    public static async Task<int> RunAsync(string[] args, CommandContext context)
    {
        var arguments = new CommandArguments(
            args,
            context.Environment,
            switches: ["--undo", "--no-ipv6", "--dry-run", "--run"],
            values:
            [
                "--backend", "--proxy-uid", "--proxy-gid", "--outbound-port", "--inbound-port", "--inbound-ports", "--skip-inbound-ports",
                "--skip-outbound-ports", "--skip-subnets",
            ]);
        if (arguments.Help)
        {
            await context.Output.WriteLineAsync(Usage).ConfigureAwait(false);
            return ExitCodes.Ok;
        }

        var options = Read(arguments);
        var undo = arguments.Switch("--undo", "MESH_REDIRECT_UNDO");
        var dryRun = arguments.Switch("--dry-run", "MESH_REDIRECT_DRY_RUN");
        var run = arguments.Switch("--run", "");
        if (run && (undo || dryRun))
        {
            arguments.Problem("--run goes with neither --undo nor --dry-run: there would be no rules.");
        }

        if (arguments.Problems.Count > 0)
        {
            return await context.FailAsync(ExitCodes.Usage, "init", arguments.Problems).ConfigureAwait(false);
        }

        if (!OperatingSystem.IsLinux())
        {
            return await context.FailAsync(ExitCodes.Failure, "init", "connections are redirected by the Linux kernel: there is none here.").ConfigureAwait(false);
        }

        try
        {
            await (dryRun ? PrintAsync(options, undo, context) : undo ? RemoveAsync(options, context) : ReplaceAsync(options, context)).ConfigureAwait(false);
            return run ? await RunProxyAsync(options, context).ConfigureAwait(false) : ExitCodes.Ok;
        }
        catch (InterceptionException exception)
        {
            return await context.FailAsync(exception.ExitCode, "init", exception.Message).ConfigureAwait(false);
        }
    }

    private static InterceptionOptions Read(CommandArguments arguments)
    {
        var defaults = new InterceptionOptions();
        var outbound = arguments.Port("--outbound-port", "MESH_OUTBOUND_PORT") ?? defaults.OutboundPort;
        var inbound = arguments.Port("--inbound-port", "MESH_INBOUND_PORT") ?? defaults.InboundPort;
        if (outbound == inbound)
        {
            arguments.Problem($"--outbound-port and --inbound-port are both {outbound}: the proxy could not tell the two directions apart. Give two ports.");
        }

        var all = arguments.Text("--inbound-ports", "MESH_REDIRECT_INBOUND_PORTS") is null or "all";
        return defaults with
        {
            Backend = Backend(arguments),
            ProxyUid = arguments.Id("--proxy-uid", "MESH_PROXY_UID") ?? defaults.ProxyUid,
            ProxyGid = arguments.Id("--proxy-gid", "MESH_PROXY_GID"),
            OutboundPort = outbound,
            InboundPort = inbound,
            InboundPorts = all ? [] : arguments.Ports("--inbound-ports", "MESH_REDIRECT_INBOUND_PORTS"),
            SkipInboundPorts = arguments.Ports("--skip-inbound-ports", "MESH_SKIP_INBOUND_PORTS"),
            SkipOutboundPorts = arguments.Ports("--skip-outbound-ports", "MESH_SKIP_OUTBOUND_PORTS"),
            SkipSubnets = arguments.Subnets("--skip-subnets", "MESH_SKIP_SUBNETS"),
            IpV6 = !arguments.Switch("--no-ipv6", "MESH_NO_IPV6"),
        };
    }

    private static InterceptionBackend Backend(CommandArguments arguments)
    {
        switch (arguments.Text("--backend", "MESH_REDIRECT_BACKEND"))
        {
            case null or "nft":
                return InterceptionBackend.Nft;
            case "iptables-nft":
                return InterceptionBackend.IptablesNft;
            case "iptables-legacy":
                return InterceptionBackend.IptablesLegacy;
            case var other:
                arguments.Problem($"--backend '{other}' is not known. Give nft, iptables-nft or iptables-legacy.");
                return InterceptionBackend.Nft;
        }
    }

    private static async Task ReplaceAsync(InterceptionOptions options, CommandContext context)
    {
        var rules = RedirectRules.From(options);
        if (options.Backend == InterceptionBackend.Nft)
        {
            NetfilterSocket.Commit(NftBatch.Replace(rules));
        }
        else
        {
            await IptablesTool.ReplaceAsync(options, rules, context.Time).ConfigureAwait(false);
        }

        await context.Output.WriteLineAsync(
            $"Redirected: outbound TCP to {options.OutboundPort}, inbound TCP to {options.InboundPort}, {(options.IpV6 ? "IPv4 and IPv6" : "IPv4 alone")}; user {options.ProxyUid} is left alone ({Where(options)}).").ConfigureAwait(false);
    }

    /// <summary>A new image of the process: nothing of root's is left in its memory either.</summary>
    private static async Task<int> RunProxyAsync(InterceptionOptions options, CommandContext context)
    {
        ProcessUser.Become(options.ProxyUid, options.ProxyGid ?? options.ProxyUid);
        var problem = ProcessImage.Replace([Environment.ProcessPath!, "run"]);
        return await context.FailAsync(problem.ExitCode, "init", problem.Message).ConfigureAwait(false);
    }

    private static async Task RemoveAsync(InterceptionOptions options, CommandContext context)
    {
        if (options.Backend == InterceptionBackend.Nft)
        {
            NetfilterSocket.Commit(NftBatch.Remove());
        }
        else
        {
            await IptablesTool.RemoveAsync(options.Backend, context.Time).ConfigureAwait(false);
        }

        await context.Output.WriteLineAsync($"Nothing is redirected any more ({Where(options)} deleted).").ConfigureAwait(false);
    }

    private static Task PrintAsync(InterceptionOptions options, bool undo, CommandContext context)
    {
        var rules = RedirectRules.From(options);
        return context.Output.WriteAsync((options.Backend, undo) switch
        {
            (InterceptionBackend.Nft, true) => NftText.Remove(),
            (InterceptionBackend.Nft, false) => NftText.Replace(rules),
            (_, true) => "# For iptables-restore and ip6tables-restore, --noflush\n" + IptablesText.Remove(IptablesText.Replace(rules, System.Net.Sockets.AddressFamily.InterNetwork, "")),
            (_, false) => "# For iptables-restore --noflush\n" + IptablesText.Replace(rules, System.Net.Sockets.AddressFamily.InterNetwork, "")
                + (options.IpV6 ? "# For ip6tables-restore --noflush\n" + IptablesText.Replace(rules, System.Net.Sockets.AddressFamily.InterNetworkV6, "") : ""),
        });
    }

    private static string Where(InterceptionOptions options) => options.Backend switch
    {
        InterceptionBackend.Nft => $"table inet {NftBatch.Table}",
        _ => $"chains {IptablesText.OutputChain} and {IptablesText.PreroutingChain} of table nat",
    };
}
