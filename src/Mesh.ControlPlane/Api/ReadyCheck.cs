using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>One thing without which nobody should be sent here.</summary>
/// <param name="Problem">Null: it is well.</param>
internal sealed record ReadyCheck(string Name, Func<string?> Problem)
{
    /// <summary>200 and <c>ok</c>, or 503 and a line for each problem.</summary>
    public static IResult Answer(IEnumerable<ReadyCheck> checks, Issuer issuer, Stopping stopping, TimeProvider time)
    {
        var problems = new List<string>();
        if (stopping.Token.IsCancellationRequested)
        {
            problems.Add("stopping: it ends its streams");
        }

        if (Certificates.NotAfter(issuer.Current.Issuer.Certificate) <= time.GetUtcNow())
        {
            problems.Add($"issuer: '{issuer.Current.Issuer.Certificate.SubjectDN}' is over, nothing that it signs is good");
        }

        problems.AddRange(from check in checks let problem = check.Problem() where problem is not null select $"{check.Name}: {problem}");
        return problems.Count == 0 ? Results.Text("ok") : Results.Text(string.Join('\n', problems), statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}
