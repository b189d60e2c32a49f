using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What the ready line names as the trust bundle, kept as shared state has it.</summary>
internal static partial class BundleFile
{
    public static void Keep(DataFolder data, TrustBundleStore trust, ILogger logger)
    {
        Write();
        trust.Subscribe(Write);

        void Write()
        {
            try
            {
                data.Write(TrustBundleStore.FileName, trust.Current.Pem, secret: false);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.BundleNotWritten(logger, data.File(TrustBundleStore.FileName), e.Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4911, LogLevel.Warning, "The roots in force could not be written to '{File}': {Problem}", EventName = nameof(BundleNotWritten))]
        public static partial void BundleNotWritten(ILogger logger, string file, string problem);
    }
}
