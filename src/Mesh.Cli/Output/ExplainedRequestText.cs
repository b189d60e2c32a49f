using System.Globalization;

namespace Mesh.Cli.Output;

/// <summary>Writes for people what becomes of a request: the answer first, then where it goes, then who says so.</summary>
/// <param name="wide">With every endpoint, every weight, and the stage that decided.</param>
internal sealed class ExplainedRequestText(CliContext context, bool wide = false)
{
    public async Task WriteAsync(ExplainedRequest request)
    {
        var answer = request.Allowed switch
        {
            true => "ALLOWED",
            false when request.Verdicts.Any(v => v.Allowed) => "PARTLY DENIED",
            false => "DENIED",
            null => request.Routing is { Backends.Count: 0 } ? "ANSWERED ON THE WAY" : "NO ENDPOINT",
        };
        await context.Out.WriteLineAsync($"{answer}  {request.Method} {request.Path}");
        await context.Out.WriteLineAsync($"  from    {request.Caller ?? "outside of the mesh, in plaintext"}");
        await context.Out.WriteLineAsync($"  to      {request.Namespace}/{request.Service}:{Number(request.Port)}");
        if (request.Routing is { } routing)
        {
            await WriteAsync(routing);
        }

        foreach (var verdict in request.Verdicts)
        {
            await context.Out.WriteLineAsync();
            await WriteAsync(verdict);
        }
    }

    private async Task WriteAsync(ExplainedRouting routing)
    {
        var total = routing.Backends.Sum(b => (long)b.Weight);
        var where = routing.Backends.Count == 0 ? routing.Action : string.Join(", ", routing.Backends.Select(b =>
            $"{b.Namespace}/{b.Service}:{Number(b.Port)}{(b.Weight == total && !wide ? string.Empty : $" {(b.Weight * 100d / Math.Max(1, total)).ToString("0.##", CultureInfo.InvariantCulture)} %")}{(b.Valid ? string.Empty : " (no such backend: fails)")}"));
        await context.Out.WriteLineAsync($"  route   {routing.Route}{At(routing.Where)}");
        await context.Out.WriteLineAsync($"          {where}");
    }

    private async Task WriteAsync(ExplainedVerdict verdict)
    {
        var many = verdict.Endpoints.Count;
        var what = many <= 3 || wide ? string.Join(", ", verdict.Endpoints) : $"{verdict.Endpoints[0]} and {Number(many - 1)} more";
        await context.Out.WriteLineAsync($"{verdict.Namespace}/{verdict.Service}:{Number(verdict.Port)} at {what}{(verdict.Plaintext ? ", in plaintext" : string.Empty)}");
        await context.Out.WriteLineAsync($"  {verdict.Decision}{At(verdict.Where)}");
        if (wide)
        {
            await context.Out.WriteLineAsync($"  stage   {verdict.Stage}");
            await context.Out.WriteLineAsync($"  rule    {verdict.Rule ?? "-"}");
        }

        foreach (var near in verdict.Nearest)
        {
            await context.Out.WriteLineAsync($"    not {near.Rule}{At(near.Where)}");
            await context.Out.WriteLineAsync($"        {near.Failed}");
        }

        if (verdict.Audit is { } audit)
        {
            await context.Out.WriteLineAsync($"  rules in audit mode: {audit}");
        }
    }

    private static string At(string? where) => where is null ? string.Empty : $" ({where})";

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
