using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace Mesh.Transparent.Interception;

/// <summary>Runs iptables' own programs, for kernels or nodes where nf_tables can't be spoken to.</summary>
internal static class IptablesTool
{
    private const int NetAdmin = 12;
    private const int NetRaw = 13;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <exception cref="InterceptionException">It could not be written; IPv4 and IPv6 are two transactions, and the first may stand.</exception>
    public static async Task ReplaceAsync(InterceptionOptions options, RedirectRules rules, TimeProvider time)
    {
        RequireCapabilities();
        await RestoreAsync(options.Backend, AddressFamily.InterNetwork, saved => IptablesText.Replace(rules, AddressFamily.InterNetwork, saved), time).ConfigureAwait(false);

        // An earlier init may have written rules for IPv6: they go when they are not wanted any more.
        await RestoreAsync(
            options.Backend,
            AddressFamily.InterNetworkV6,
            saved => options.IpV6 ? IptablesText.Replace(rules, AddressFamily.InterNetworkV6, saved) : IptablesText.Remove(saved),
            time).ConfigureAwait(false);
    }

    public static async Task RemoveAsync(InterceptionBackend backend, TimeProvider time)
    {
        RequireCapabilities();
        await RestoreAsync(backend, AddressFamily.InterNetwork, IptablesText.Remove, time).ConfigureAwait(false);
        await RestoreAsync(backend, AddressFamily.InterNetworkV6, IptablesText.Remove, time).ConfigureAwait(false);
    }

    /// <summary>The programs of Debian and Alpine: their plain names may be either kind.</summary>
    private static string Program(InterceptionBackend backend, AddressFamily family, string action) =>
        $"{(family == AddressFamily.InterNetwork ? "iptables" : "ip6tables")}-{(backend == InterceptionBackend.IptablesLegacy ? "legacy" : "nft")}-{action}";

    private static async Task RestoreAsync(InterceptionBackend backend, AddressFamily family, Func<string, string?> write, TimeProvider time)
    {
        var saved = await RunAsync(Program(backend, family, "save"), ["-t", "nat"], "", time).ConfigureAwait(false);
        if (write(saved) is { } text)
        {
            await RunAsync(Program(backend, family, "restore"), ["--noflush", "--wait", "10"], text, time).ConfigureAwait(false);
        }
    }

    private static async Task<string> RunAsync(string program, string[] arguments, string input, TimeProvider time)
    {
        using var process = new Process();
        process.StartInfo = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            process.Start();
        }
        catch (Win32Exception exception)
        {
            throw new InterceptionException(
                ExitCodes.Failure,
                $"'{program}' could not be started: {exception.Message}. Put iptables into the image, or leave --backend out: the default, nft, needs no program.");
        }

        using var limit = new CancellationTokenSource(Limit, time);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            try
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token).ConfigureAwait(false);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading: why, it says on its standard error.
            }

            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return process.ExitCode == 0
                ? await output.ConfigureAwait(false)
                : throw Failed(program, process.ExitCode, (await errors.ConfigureAwait(false)).Trim(), input);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new InterceptionException(ExitCodes.Failure, $"'{program}' did not end in {Limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s. Something else may hold the iptables lock: try again.");
        }
    }

    private static InterceptionException Failed(string program, int exitCode, string errors, string input)
    {
        var written = input.Length == 0 ? "" : $" It was given:\n{input}";
        return new(
            ExitCodes.Failure,
            string.Create(CultureInfo.InvariantCulture, $"'{program}' ended with {exitCode}: {errors}\nDoes the node's kernel have what this backend needs (nft: nf_tables; legacy: iptable_nat, xt_owner, xt_REDIRECT)?{written}"));
    }

    /// <summary>Asked before, as what iptables says without them differs from version to version.</summary>
    private static void RequireCapabilities()
    {
        const string Effective = "CapEff:";
        var line = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(Effective, StringComparison.Ordinal));
        if (line is null || !ulong.TryParse(line.AsSpan(Effective.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var capabilities))
        {
            return;
        }

        if ((capabilities & (1UL << NetAdmin)) == 0 || (capabilities & (1UL << NetRaw)) == 0)
        {
            throw new InterceptionException(
                ExitCodes.NotPermitted,
                "iptables rules can't be written here: the capabilities NET_ADMIN and NET_RAW are missing. Run it as user 0 with securityContext.capabilities.add: [NET_ADMIN, NET_RAW].");
        }
    }
}
