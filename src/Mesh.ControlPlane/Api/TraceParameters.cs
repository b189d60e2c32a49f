using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Tap;
using Microsoft.AspNetCore.Mvc;

namespace Mesh.ControlPlane.Api;

/// <summary>Which traces a query asks for, as text.</summary>
/// <param name="Service">A workload or called host that takes part.</param>
/// <param name="Source">A workload that makes a call in it.</param>
/// <param name="Destination">What such a call is to.</param>
/// <param name="Labels">Of a workload that takes part; see <see cref="LabelSelector"/>.</param>
internal sealed record TraceParameters(
    string? Service,
    string? Namespace,
    string? Source,
    string? Destination,
    string? Labels,
    [property: FromQuery(Name = "min_ms")] string? MinMs,
    string? Failed,
    string? Limit,
    string? Window,
    string? From,
    string? To)
{
    /// <param name="refusal">What is wrong; null when all is right.</param>
    public TraceQuery? Read(MeshModel model, DateTimeOffset now, out IResult? refusal)
    {
        refusal = null;
        if (!TryNumber(MinMs, 0, 86_400_000, 0, out var least))
        {
            refusal = Bad("min_ms", MinMs, "Give milliseconds, 0–86400000, or leave it out.");
            return null;
        }

        if (Failed is not (null or "true" or "false"))
        {
            refusal = Bad("failed", Failed, "Give true or false, or leave it out.");
            return null;
        }

        if (!TryNumber(Limit, 1, TraceQuery.MaxLimit, TraceQuery.DefaultLimit, out var most) || most != Math.Floor(most))
        {
            refusal = Bad("limit", Limit, $"Give a whole number, 1–{TraceQuery.MaxLimit}, or leave it out.");
            return null;
        }

        var (selector, problem) = ((LabelSelector?)null, string.Empty);
        if (!string.IsNullOrEmpty(Labels) && (selector = LabelSelector.Parse(Labels, out problem)) is null)
        {
            refusal = Bad("labels", Labels, problem);
            return null;
        }

        var query = new TraceQuery(OrNull(Service), OrNull(Namespace), TimeSpan.FromMilliseconds(least), Failed == "true", (int)most)
        {
            Source = OrNull(Source),
            Destination = OrNull(Destination),
            Workloads = selector is null ? null : Having(model, selector),
        };
        if ((Window ?? From ?? To) is null)
        {
            return query;
        }

        var asked = AskedTime.Of(Window, From, To, now, TimeSpan.FromSeconds(AskedTime.LongestSeconds));
        // What begins while this is answered is of now too.
        return query with { From = asked.From, To = To is null ? DateTimeOffset.MaxValue : asked.To };
    }

    /// <summary>By each name that a span may give its workload: the account's, and that of a Service it stands behind.</summary>
    private static HashSet<(string Namespace, string Name)> Having(MeshModel model, LabelSelector labels)
    {
        HashSet<(string Namespace, string Name)> accounts = [.. model.Workloads.Where(w => w.ServiceAccount is not null && labels.Matches(w.Labels)).Select(w => (w.Namespace, w.ServiceAccount!))];
        return [.. accounts, .. model.Services.Values.Where(s => s.Endpoints.Any(e => e.ServiceAccount is { } account && accounts.Contains((s.Name.Namespace, account)))).Select(s => (s.Name.Namespace, s.Name.Name))];
    }

    private static string? OrNull(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static bool TryNumber(string? text, double least, double most, double otherwise, out double number)
    {
        number = otherwise;
        return string.IsNullOrEmpty(text) || (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && number >= least && number <= most);
    }

    private static IResult Bad(string name, string? value, string use) => ApiEndpoints.Problem(400, $"Bad {name}", $"{name} is '{TapText.Of(value ?? string.Empty, 64)}'. {use}");
}
