using Mesh.Identity;

namespace Mesh.Cli.Agent;

/// <summary>Writes each generation of an identity to files, if any are wanted.</summary>
internal sealed class IdentityAgent(IWorkloadIdentitySource source, IdentityFiles? files, CliContext context)
{
    private static readonly TimeSpan _look = TimeSpan.FromSeconds(1);

    /// <param name="once">Ends after the first generation.</param>
    /// <param name="timeout">How long the first certificate may take.</param>
    public async Task RunAsync(bool once, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var written = await FirstAsync(timeout, cancellationToken);
        await WriteAsync(written);
        while (!once)
        {
            await Task.Delay(_look, context.Time, cancellationToken);
            if (source.Current is { } current && current.Generation != written.Generation)
            {
                await WriteAsync(current);
                written = current;
            }
        }
    }

    private async Task<WorkloadIdentity> FirstAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(timeout, context.Time);
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await source.GetAsync(limited.Token);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new CliException(
                ExitCodes.TimedOut, "no certificate was issued", $"{timeout.TotalSeconds:0} s passed; the warnings above say what was tried", "check --control-plane, --trust-bundle and the token");
        }
    }

    private async Task WriteAsync(WorkloadIdentity identity)
    {
        files?.Write(identity);
        await context.Error.WriteLineAsync($"{identity.Svid.Id} until {identity.Svid.NotAfter:u}: {(files is null ? "in force" : $"written to {files.Folder}")}");
    }
}
